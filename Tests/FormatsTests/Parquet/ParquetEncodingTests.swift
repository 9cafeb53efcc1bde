import Testing

@testable import Formats

/// Encodings by bytes that can be made by hand, and what pyarrow does not write.
@Suite("Parquet's encodings")
struct ParquetEncodingTests {
    private static let column = ParquetColumn(
        path: ["a"], storage: .int64, meaning: .stored, optionals: 0, isRepeated: false)

    private func numbers(_ bytes: [UInt8], _ count: Int) throws(ParquetFault) -> [Int64] {
        var deltas = try ParquetDeltas(bytes, from: 0)
        var numbers: [Int64] = []
        for _ in 0..<count { numbers.append(try deltas.next()) }
        return numbers
    }

    /// The format's own example: 7, 5, 3, 1, 2, 3, 4, 5, whose differences are -2 three times and 1 four times.
    @Test func differencesAreTheFormatsExample() throws {
        // 128 in 4 parts, 8 numbers, the first 7; least -2; 2 bits: 0, 0, 0, 3, 3, 3, 3 and zeros.
        let bytes: [UInt8] = [0x80, 0x01, 4, 8, 14, 3, 2, 0, 0, 0, 0xC0, 0x3F, 0, 0, 0, 0, 0, 0]
        #expect(try numbers(bytes, 8) == [7, 5, 3, 1, 2, 3, 4, 5])
        let deltas = try ParquetDeltas(bytes + [9, 9], from: 0)
        #expect(deltas.left == 8)
        #expect(try deltas.end() == bytes.count)
        #expect(throws: ParquetFault.self) { try numbers(bytes, 9) }
        #expect(throws: ParquetFault.self) { try numbers(Array(bytes.dropLast()), 8) }
    }

    @Test func differencesOfAllBitsWrapAround() throws {
        // Least 0, 64 bits a difference: one of -1, so that 0 becomes the largest number without a sign.
        let bits = [UInt8](repeating: 0xFF, count: 8) + [UInt8](repeating: 0, count: 31 * 8)
        #expect(try numbers([0x80, 0x01, 4, 2, 0, 0, 64, 0, 0, 0] + bits, 2) == [0, -1])
        #expect(throws: ParquetFault.self) { try numbers([0x80, 0x01, 4, 2, 0, 0, 65, 0, 0, 0] + bits, 2) }
    }

    @Test func runsAreOfOneValueOrPacked() throws {
        // The format's example of 0 to 7 in three bits, then five times 4.
        let bytes: [UInt8] = [0x03, 0x88, 0xC6, 0xFA, 0x0A, 0x04]
        var runs = ParquetRuns(bytes, in: 0..<bytes.count, width: 3)
        for value in [0, 1, 2, 3, 4, 5, 6, 7, 4, 4, 4, 4, 4] { #expect(try runs.next() == value) }
        #expect(throws: ParquetFault.self) { try runs.next() }
        var cut = ParquetRuns(bytes, in: 0..<3, width: 3)
        #expect(throws: ParquetFault.self) { try cut.next() }
        // Runs without a value end with the bytes.
        var empty = ParquetRuns([0, 0, 0, 0], in: 0..<4, width: 1)
        #expect(throws: ParquetFault.self) { try empty.next() }
        var one = ParquetRuns([], in: 0..<0, width: 0)
        #expect(try one.next() == 0)
    }

    @Test(arguments: [ParquetCodec.snappy, .gzip, .zstd])
    func whatIsPackedHasToGiveWhatIsSaid(_ codec: ParquetCodec) throws {
        for bytes in [[], [0], [0xFF, 0xFF, 0xFF, 0xFF, 0x07], Array("no codec wrote this".utf8)] as [[UInt8]]
        {
            for count in [1, 100, 1 << 31] {
                #expect(throws: ParquetFault.self) { try codec.unpack(bytes, from: 0, count: count) }
            }
        }
        #expect(try codec.unpack([], from: 0, count: 0) == [])
    }

    /// Three members of gzip: "ab", nothing, and "c".
    @Test func membersOfGzipFollowEachOther() throws {
        let head: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        func member(_ text: String) -> [UInt8] {
            let bytes = Array(text.utf8)
            let size = UInt8(bytes.count)
            let sum = ParquetCodec.checksum(bytes)
            return head + [1, size, 0, ~size, 0xFF] + bytes
                + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: sum >> $0) } + [size, 0, 0, 0]
        }
        let packed = member("ab") + member("") + member("c")
        #expect(try ParquetCodec.gzip.unpack(packed, from: 0, count: 3) == Array("abc".utf8))
        for count in [2, 4] {
            #expect(throws: ParquetFault.self) { try ParquetCodec.gzip.unpack(packed, from: 0, count: count) }
        }
    }
}
