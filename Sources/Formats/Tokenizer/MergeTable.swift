/// The merges of a byte-pair encoding: for two neighbouring tokens, which token they become and how early.
struct MergeTable: Sendable {
    /// What two tokens become.
    struct Merge: Sendable {
        /// The lower, the earlier.
        var rank: UInt32
        /// The token they become.
        var id: Int32

        /// No merge.
        static let none = Merge(rank: .max, id: -1)
    }

    private struct Slot: Sendable {
        var pair: UInt64
        var merge: Merge
    }

    /// Open addressing with linear probing; at most half full, and the count is a power of two.
    private var slots: [Slot]
    /// 64 minus the logarithm of the number of slots.
    private let shift: UInt64

    /// A pair that can't be, since ids are below 2³¹.
    private static let empty = UInt64.max

    /// A table with room for `capacity` merges.
    init(capacity: Int) {
        var logarithm: UInt64 = 4
        while 1 << logarithm < capacity * 2 { logarithm += 1 }
        slots = Array(repeating: Slot(pair: Self.empty, merge: .none), count: 1 << logarithm)
        shift = 64 - logarithm
    }

    /// How many slots there are; half of them may be taken.
    var capacity: Int { slots.count }

    /// Sets what a pair becomes; of equal pairs the last one counts.
    mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
        let pair = Self.pair(left, right)
        var slot = start(pair)
        while slots[slot].pair != Self.empty, slots[slot].pair != pair {
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = Slot(pair: pair, merge: merge)
    }

    /// What two neighbouring tokens become, or ``Merge/none``.
    @inline(__always)
    func merge(_ left: Int32, _ right: Int32) -> Merge {
        let pair = Self.pair(left, right)
        var slot = start(pair)
        while true {
            let found = slots[slot]
            if found.pair == pair { return found.merge }
            if found.pair == Self.empty { return .none }
            slot = (slot + 1) & (slots.count - 1)
        }
    }

    @inline(__always)
    private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private func start(_ pair: UInt64) -> Int {
        Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }
}
