/// The checksum of HDF5's headers: Bob Jenkins's lookup3, `hashlittle` from 0 on.
///
/// Source: HDF5 file format specification 3.0, "Checksum"; http://burtleburtle.net/bob/c/lookup3.c
enum HDF5Checksum {
    /// The checksum of bytes.
    static func lookup3(_ bytes: [UInt8]) -> UInt32 {
        var state = State(length: bytes.count)
        var start = 0
        while bytes.count - start > 12 {
            state.add(bytes[start..<start + 12])
            state.mix()
            start += 12
        }
        if start < bytes.count {
            state.add(bytes[start...])
            state.finish()
        }
        return state.c
    }

    private struct State {
        var a, b, c: UInt32

        init(length: Int) {
            a = 0xDEAD_BEEF &+ UInt32(truncatingIfNeeded: length)
            b = a
            c = a
        }

        /// Adds up to twelve bytes, four to each word.
        mutating func add(_ bytes: ArraySlice<UInt8>) {
            for (index, byte) in bytes.enumerated() {
                let part = UInt32(byte) << (UInt32(index) % 4 * 8)
                switch index / 4 {
                case 0: a &+= part
                case 1: b &+= part
                default: c &+= part
                }
            }
        }

        mutating func mix() {
            Self.step(&a, &b, &c, 4)
            Self.step(&b, &c, &a, 6)
            Self.step(&c, &a, &b, 8)
            Self.step(&a, &b, &c, 16)
            Self.step(&b, &c, &a, 19)
            Self.step(&c, &a, &b, 4)
        }

        /// One line of the original's `mix`: `a -= c; a ^= rot(c, k); c += b`.
        private static func step(
            _ first: inout UInt32, _ second: inout UInt32, _ third: inout UInt32, _ k: UInt32
        ) {
            first &-= third
            first ^= rotate(third, k)
            third &+= second
        }

        mutating func finish() {
            Self.turn(&c, b, 14)
            Self.turn(&a, c, 11)
            Self.turn(&b, a, 25)
            Self.turn(&c, b, 16)
            Self.turn(&a, c, 4)
            Self.turn(&b, a, 14)
            Self.turn(&c, b, 24)
        }

        /// One line of the original's `final`: `c ^= b; c -= rot(b, k)`.
        private static func turn(_ first: inout UInt32, _ second: UInt32, _ k: UInt32) {
            first ^= second
            first &-= rotate(second, k)
        }

        private static func rotate(_ word: UInt32, _ k: UInt32) -> UInt32 { word << k | word >> (32 - k) }
    }
}
