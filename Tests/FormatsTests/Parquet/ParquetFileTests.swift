import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Parquet files")
struct ParquetFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test(arguments: ParquetFixture.names)
    func allPlainColumnsAreWhatPyarrowWrote(_ name: String) throws {
        let file = try ParquetFile(path: ParquetFixture.path(name))
        #expect(file.rowCount == ParquetFixture.rowCount)
        #expect(file.columnNames.contains("words.list.element"))
        var rows = try file.rows(of: ParquetFixture.columns)
        for row in 0..<ParquetFixture.rowCount {
            #expect(try rows.nextRow() == ParquetFixture.values(row), "row \(row)")
        }
        #expect(try rows.nextRow() == nil)
    }

    @Test func columnsAreReadInTheOrderInWhichTheyAreNamed() throws {
        var rows = try ParquetFile(path: ParquetFixture.path("plain")).rows(of: ["day", "small", "day"])
        #expect(try rows.nextRow() == [.integer(0), .integer(-60), .integer(0)])
        #expect(try rows.nextRow() == [.integer(1), .integer(-59), .integer(1)])
    }

    @Test(arguments: [
        ("words", "its column \"words\" is a list"), ("words.list.element", "is a list"),
        ("price", "is FIXED_LEN_BYTE_ARRAY (DECIMAL)"), ("id", "is FIXED_LEN_BYTE_ARRAY"),
        ("data", "a structure of data.body"),
        (
            "missing",
            "it has the columns text, maybe, data, blob, small, short, long, positive, huge, float, …"
        ),
    ])
    func otherColumnsAreRefusedByName(_ column: String, _ words: String) throws {
        let file = try ParquetFile(path: ParquetFixture.path("plain"))
        let error = #expect(throws: UserFacingError.self) { try file.rows(of: ["text", column]) }
        #expect(
            error?.fault == .input && error?.message.contains(words) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("refused-brotli", "pages packed by BROTLI"), ("refused-lz4", "pages packed by LZ4_RAW"),
        ("refused-split", "row group 1 of 1, column \"double\": it has the encoding BYTE_STREAM_SPLIT"),
        ("refused-int96", "its column \"at\" is INT96"),
        ("refused-encrypted", "it is an encrypted Parquet file"),
        ("refused-encrypted-column", "it is an encrypted Parquet file"),
    ])
    func otherFilesAreRefusedByName(_ name: String, _ words: String) throws {
        let error = #expect(throws: UserFacingError.self) {
            var rows = try ParquetFile(path: ParquetFixture.path(name)).rows(of: ["text", "double", "at"])
            while try rows.nextRow() != nil {}
        }
        #expect(
            error?.kind == .unsupported && error?.message.contains(words) == true,
            "\(String(describing: error))")
    }

    // MARK: Files of all combinations

    /// A folder that `Scripts/compare/parquet.py` has written, which runs this test.
    private static let written = ProcessInfo.processInfo.environment["PARQUET_FOLDER"]

    @Test(.enabled(if: written != nil, "Scripts/compare/parquet.py --columns runs it"))
    func everyFileOfAFolder() throws {
        let folder = try #require(Self.written)
        let files = try #require(try JSON.read(path: "\(folder)/files.json").object)
        var contents: [String: [String: [String]]] = [:]
        for nulls in ["required", "no", "some", "all"] {
            let columns = try #require(try JSON.read(path: "\(folder)/\(nulls).json").object)
            for (name, values) in columns {
                contents[nulls, default: [:]][name] = values.array?.compactMap(\.string)
            }
        }
        var count = 0
        let columns = try #require(contents["no"]).keys.sorted()
        for (name, nulls) in files {
            let expected = try #require(nulls.string.flatMap { contents[$0] })
            let file = try ParquetFile(path: "\(folder)/\(name)")
            var rows = try file.rows(of: columns)
            var found: [String: [String]] = [:]
            while let row = try rows.nextRow() {
                for (column, value) in zip(columns, row) {
                    found[column, default: []].append(Self.told(value))
                }
                count += row.count
            }
            #expect(found == expected, "\(name)")
        }
        print("\(count) values of \(columns.count) columns in \(files.count) files")
    }

    private static func told(_ value: ParquetValue) -> String {
        func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        return switch value {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .number(let value):
            (0..<8).map { hex(UInt8(truncatingIfNeeded: value.bitPattern >> (56 - 8 * $0))) }.joined()
        case .bytes(let bytes): "x" + bytes.map(hex).joined()
        }
    }

    // MARK: Damaged files

    private func read(_ bytes: [UInt8]) throws(UserFacingError) -> [[ParquetValue]] {
        let path: String
        do { path = try folder.write("changed.parquet", bytes) } catch {
            throw .file(.create, "changed.parquet")
        }
        var rows = try ParquetFile(path: path).rows(of: ParquetFixture.columns)
        var values: [[ParquetValue]] = []
        while let row = try rows.nextRow() { values.append(row) }
        return values
    }

    @Test(arguments: ParquetFixture.names)
    func damageIsAnErrorOrOtherValues(_ name: String) throws {
        let whole = try ParquetFixture.bytes(name)
        var dice = RandomNumberSequence(seed: 5)
        var refused = 0
        for round in 0..<120 {
            var bytes = whole
            // Most that can break lies in the description at the end and in the heads of pages.
            let start = round % 3 == 0 ? 0 : bytes.count - 5000
            let place = start + Int(dice.next() % UInt64(bytes.count - start))
            switch round % 4 {
            case 0: bytes[place] ^= 1 << UInt8(dice.next() % 8)
            case 1: bytes[place] = [0, 0x7F, 0x80, 0xFF][Int(dice.next() % 4)]
            case 2: bytes.removeSubrange(place..<min(place + 1 + Int(dice.next() % 9), bytes.count))
            default: bytes.insert(contentsOf: [0xFF, 0xFF, 0xFF, 0xFF, 0x0F], at: place)
            }
            do throws(UserFacingError) {
                _ = try read(bytes)
            } catch {
                #expect(error.fault == .input && error.message.contains("changed.parquet"), "\(error)")
                refused += 1
            }
        }
        #expect(refused > 40)
    }

    @Test(arguments: ["dictionary-zstd-v2", "deltas-zstd"])
    func aChecksumFindsEveryChangeOfAPage(_ name: String) throws {
        let whole = try ParquetFixture.bytes(name)
        let file = try ParquetFile(path: ParquetFixture.path(name))
        let chunk = file.metadata.groups[0].chunks[0]
        // The last bytes of the last page of the first column.
        for back in 1...10 {
            var bytes = whole
            bytes[chunk.firstPage + chunk.size - back] ^= 0x10
            let error = #expect(throws: UserFacingError.self) { try read(bytes) }
            #expect(
                error?.message.contains(
                    "row group 1 of 3, column \"text\": it can't be read (the checksum of the page")
                    == true, "\(String(describing: error))")
        }
    }

    /// The size of a page is the second field of its head, two bytes behind its start; a longer number moves what follows,
    /// which is not read any more.
    @Test(arguments: ParquetFixture.names, [0, 1])
    func aFalseSizeOfAPageTakesNoMemory(_ name: String, _ field: Int) throws {
        let whole = try ParquetFixture.bytes(name)
        var place = 7
        for _ in 0..<field { place = try #require(whole[place...].firstIndex { $0 < 0x80 }) + 2 }
        let end = try #require(whole[place...].firstIndex { $0 < 0x80 }) + 1
        for size in [[0xFE, 0xFF, 0xFF, 0xFF, 0x0F], [0xFF, 0xFF, 0xFF, 0xFF, 0x1F], [0x01]] as [[UInt8]] {
            var bytes = whole
            bytes.replaceSubrange(place..<end, with: size)
            // What the file says of itself still lies where it did, counted from the end.
            let error = #expect(throws: UserFacingError.self) { try read(bytes) }
            #expect(error?.kind == .malformed, "\(String(describing: error))")
            #expect(error?.message.contains("row group 1 of 3, column \"text\"") == true)
        }
    }

    @Test func filesThatEndTooEarlyAreRefused() throws {
        let whole = try ParquetFixture.bytes("plain")
        for count in [
            0, 3, 4, 8, 11, 12, 500, whole.count - 9, whole.count - 8, whole.count - 4, whole.count - 1,
        ] {
            #expect(throws: UserFacingError.self, "\(count)") { try read(Array(whole[..<count])) }
        }
        #expect(throws: UserFacingError.self) { try read(whole + [0]) }
        // A description that is said to begin before the file.
        var bytes = whole
        bytes.replaceSubrange(bytes.count - 8..<bytes.count - 4, with: [0xFF, 0xFF, 0xFF, 0xFF])
        let error = #expect(throws: UserFacingError.self) { try read(bytes) }
        #expect(error?.message.contains("described in 4294967295 bytes") == true)
    }

    /// 0x3C are lists of 3 structures in each other without an end.
    @Test func structuresWithoutAnEndAreRefused() throws {
        for pattern in [[0x1C], [0x19, 0x19], [0x19, 0x3C, 0x19, 0x3C], [0x1B, 0x01, 0xBB]] as [[UInt8]] {
            let nested = Array(repeatElement(pattern, count: 5000).joined())
            var tail = [UInt8](repeating: 0, count: 4)
            for index in 0..<4 { tail[index] = UInt8(truncatingIfNeeded: nested.count >> (8 * index)) }
            let magic = Array("PAR1".utf8)
            let error = #expect(throws: UserFacingError.self) { try read(magic + nested + tail + magic) }
            #expect(error?.kind == .malformed)
        }
    }
}

/// Numbers that are the same in every run.
private struct RandomNumberSequence {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
