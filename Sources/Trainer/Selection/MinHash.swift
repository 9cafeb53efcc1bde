internal import CKernels

/// MinHash signatures in bands, which texts that are much alike are likely to share one of.
///
/// A text's shingles are its runs of five words, or of eight characters where it is mostly Hangul. Each of bands × rows hash
/// functions keeps the least hash of all shingles; texts of which a band is the same in all rows are taken for near-duplicates.
/// Two texts whose shingles have the Jaccard similarity s are found with the probability 1 − (1 − sʳ)ᵇ.
///
/// With words these are the very hashes of datatrove 0.10 (XXH64, a·x + b modulo 2⁶⁴ and then modulo 2⁶¹ − 1, a and b from
/// NumPy's `RandomState(1)`).
///
/// Source: Broder, "On the resemblance and containment of documents" (1997); datatrove's `pipeline/dedup/minhash.py`.
struct MinHash: Sendable {
    /// How many bands there are, and hashes in each.
    static let (bands, rows) = (14, 8)
    /// The words, and the characters of Hangul, of a shingle.
    static let (words, characters) = (5, 8)

    private let multipliers: [UInt64]
    private let addends: [UInt64]

    init() {
        var generator = MersenneTwister(seed: 1)
        let count = Self.bands * Self.rows
        multipliers = (0..<count).map { _ in generator.next(from: 1, below: 1 << 61 - 1) }
        addends = (0..<count).map { _ in generator.next(from: 0, below: 1 << 61 - 1) }
    }

    /// The least hash of all shingles for each function, band by band; empty where there are no shingles.
    func signature(of shingles: [UInt64]) -> [UInt64] {
        guard !shingles.isEmpty else { return [] }
        var minima = [UInt64](repeating: .max, count: multipliers.count)
        let count = minima.count
        unsafe minima.withUnsafeMutableBufferPointer { minima in
            unsafe shingles.withUnsafeBufferPointer { shingles in
                unsafe multipliers.withUnsafeBufferPointer { a in
                    unsafe addends.withUnsafeBufferPointer { b in
                        unsafe ck_minhash(
                            minima.baseAddress, count, shingles.baseAddress, shingles.count, a.baseAddress,
                            b.baseAddress)
                    }
                }
            }
        }
        return minima
    }

    /// The bands of a signature as fingerprints, each of which tells its band as well.
    func fingerprints(of signature: [UInt64]) -> [Fingerprint] {
        guard !signature.isEmpty else { return [] }
        return (0..<Self.bands).map { band in
            Fingerprint(
                mixing: signature[band * Self.rows..<(band + 1) * Self.rows], salt: UInt64(band + 1))
        }
    }
}

/// XXH64 hashes of parts of a text.
///
/// - Parameters:
///   - bytes: the text.
///   - starts: where each part begins.
///   - ends: where it ends, at or behind its start, and not behind the text's end.
/// - Returns: the hashes.
func hashes(of bytes: [UInt8], _ starts: ArraySlice<UInt32>, _ ends: ArraySlice<UInt32>) -> [UInt64] {
    let count = min(starts.count, ends.count)
    guard count > 0 else { return [] }
    for (start, end) in zip(starts, ends) {
        precondition(start <= end && Int(end) <= bytes.count, "a part lies inside its text")
    }
    return unsafe [UInt64](unsafeUninitializedCapacity: count) { output, initialized in
        unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe starts.withUnsafeBufferPointer { starts in
                unsafe ends.withUnsafeBufferPointer { ends in
                    unsafe ck_xxh64(
                        output.baseAddress, bytes.baseAddress, starts.baseAddress, ends.baseAddress, count)
                }
            }
        }
        initialized = count
    }
}

/// 96 bits that tell texts, or bands of signatures, apart.
///
/// Among a thousand million documents the chance that any two different ones have the same is about 10⁻¹¹, and for one of all
/// their bands 10⁻⁹.
struct Fingerprint: Hashable, Sendable {
    let high: UInt64
    let low: UInt32

    /// Stands where there is none.
    static let none = Fingerprint(high: 0, low: 0)

    init(high: UInt64, low: UInt32) { (self.high, self.low) = (high, low) }

    /// Of numbers, each of which and whose order count.
    init(mixing values: ArraySlice<UInt64>, salt: UInt64) {
        var (one, two) = (salt &* 0x9E37_79B9_7F4A_7C15, ~salt)
        for value in values {
            one = mixed(one ^ value)
            two = mixed(two &+ value &* 0xC2B2_AE3D_27D4_EB4F) &+ one
        }
        (high, low) = (mixed(one &+ two), UInt32(truncatingIfNeeded: mixed(two) >> 32) | 1)
    }
}

/// A number's bits, stirred, as in the last step of MurmurHash3.
@inline(__always)
func mixed(_ value: UInt64) -> UInt64 {
    var value = value
    value = (value ^ value >> 33) &* 0xFF51_AFD7_ED55_8CCD
    value = (value ^ value >> 33) &* 0xC4CE_B9FE_1A85_EC53
    return value ^ value >> 33
}

/// The generator MT19937 as NumPy's `RandomState` seeds and uses it for large integers.
///
/// Source: Matsumoto and Nishimura, "Mersenne Twister" (1998).
struct MersenneTwister {
    private var state: [UInt32]
    private var position = 624

    init(seed: UInt32) {
        state = [seed]
        for index in 1..<624 {
            let last = state[index - 1]
            state.append(1_812_433_253 &* (last ^ last >> 30) &+ UInt32(index))
        }
    }

    private mutating func next() -> UInt32 {
        if position == 624 {
            for index in 0..<624 {
                let joined = (state[index] & 0x8000_0000) | (state[(index + 1) % 624] & 0x7FFF_FFFF)
                state[index] = state[(index + 397) % 624] ^ joined >> 1 ^ (joined & 1 == 0 ? 0 : 0x9908_B0DF)
            }
            position = 0
        }
        var value = state[position]
        position += 1
        value ^= value >> 11
        value ^= value << 7 & 0x9D2C_5680
        value ^= value << 15 & 0xEFC6_0000
        return value ^ value >> 18
    }

    /// A number of a range of more than 32 bits.
    mutating func next(from low: UInt64, below high: UInt64) -> UInt64 {
        let range = high - 1 - low
        let mask = UInt64.max >> UInt64(range.leadingZeroBitCount)
        while true {
            let (upper, lower) = (UInt64(next()), UInt64(next()))
            let value = (upper << 32 | lower) & mask
            if value <= range { return low + value }
        }
    }
}
