import TestSupport
import Testing

@testable import Formats

@Suite("Texts in Parquet files")
struct ParquetTextsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let texts = (0..<ParquetFixture.rowCount).map(ParquetFixture.text)

    private func texts(_ index: DocumentIndex) throws(UserFacingError) -> [String] {
        var texts: [String] = []
        for document in 0..<index.count { texts.append(try index.text(document)) }
        return texts
    }

    private func inOrder(_ batch: DocumentBatch, _ texts: inout [String]) throws(UserFacingError) {
        var findings = TextFindings()
        for index in batch.parts.indices {
            if let text = try batch.text(index, noting: &findings) {
                texts.append(String(decoding: text, as: UTF8.self))
            }
        }
    }

    @Test(arguments: ParquetFixture.names)
    func areTheDocumentsOfLinesWithTheSameTexts(_ name: String) throws {
        let path = ParquetFixture.path(name)
        let index = try DocumentIndex(path: path)
        #expect(try texts(index) == Self.texts)
        let lines = Self.texts.map { "{\"text\": \"\($0.replacing("\n", with: "\\n"))\"}\n" }.joined()
        let same = try DocumentIndex(path: folder.write("same.jsonl", lines))
        #expect(index.sha256 == same.sha256 && index.byteCount == same.byteCount)
        var found: [String] = []
        var progress: [Int] = []
        try Documents(paths: [path]).forEachBatch(progress: { done, _ in progress.append(done) }) {
            batch throws(UserFacingError) in try inOrder(batch, &found)
        }
        #expect(found == Self.texts)
        #expect(progress == progress.sorted() && progress.count == 3)
        #expect(progress.allSatisfy { $0 > 0 && $0 < index.byteCount * 10 })
    }

    @Test(arguments: [
        (TextOptions(textKey: "data.body", skipsBadLines: true), 109), (TextOptions(textKey: "blob"), 120),
    ])
    func otherColumnsAreTextsToo(_ options: TextOptions, _ count: Int) throws {
        let index = try DocumentIndex(path: ParquetFixture.path("deltas-zstd"), options: options)
        let name = options.textKey == "blob" ? "blob" : "body"
        #expect(index.count == count && index.findings.skippedLines == 120 - count)
        #expect(try index.text(count - 1) == "\(name) 119")
    }

    @Test(arguments: ParquetFixture.names)
    func aRowWithoutATextIsRefusedOrPassedOver(_ name: String) throws {
        var options = TextOptions(textKey: "maybe")
        let path = ParquetFixture.path(name)
        let words = ", row 3 (row group 1 of 3): its \"maybe\" is null; expected a string"
        let error = #expect(throws: UserFacingError.self) { try DocumentIndex(path: path, options: options) }
        #expect(error?.message.contains(path + words) == true, "\(String(describing: error))")
        options.skipsBadLines = true
        let index = try DocumentIndex(path: path, options: options)
        let expected = (0..<ParquetFixture.rowCount).compactMap(ParquetFixture.maybe)
        #expect(try texts(index) == expected)
        #expect(index.findings.skippedLines == ParquetFixture.rowCount - expected.count)
        #expect(index.findings.firstSkipped?.contains(words) == true)
    }

    @Test func aTextThatIsNoUTF8IsRefusedByRow() throws {
        var bytes = try ParquetFixture.bytes("plain")
        // The é of row 52, in the second row group; its length stands before it.
        let row = Array(ParquetFixture.text(51).utf8)
        let place = try #require(
            (0..<bytes.count).first { bytes[$0...].starts(with: [UInt8(row.count), 0, 0, 0] + row) })
        bytes[place + 4 + 10] = 0xFF
        let path = try folder.write("bad.parquet", bytes)
        let error = #expect(throws: UserFacingError.self) { try DocumentIndex(path: path) }
        let words = "row 52 (row group 2 of 3): byte 10 of its \"text\" is not valid UTF-8"
        #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        let index = try DocumentIndex(path: path, options: TextOptions(skipsBadLines: true))
        #expect(index.count == 119 && index.findings.skippedLines == 1)
    }

    @Test(arguments: [
        ("words", "is a list"), ("small", "its column \"small\" is INT32, and a column of strings"),
        ("huge", "INT64 (unsigned)"), ("data", "a structure of data.body"),
        ("content", "expected \"content\"; --text-key KEY names another"),
    ])
    func aColumnOfSomethingElseIsRefused(_ key: String, _ words: String) throws {
        let options = TextOptions(textKey: key, skipsBadLines: true)
        let path = ParquetFixture.path("plain")
        let error = try #require(throws: UserFacingError.self) {
            try DocumentIndex(path: path, options: options)
        }
        #expect(error.fault == .input && error.message.contains(words), "\(error)")
        #expect(throws: error) { try Documents(paths: [path], options: options).forEachBatch { _ in } }
        #expect(throws: error) { try TextParts([path], options: options, partSize: 1000) }
    }

    @Test func aRowGroupIsAPart() throws {
        let path = ParquetFixture.path("dictionary-snappy")
        let lines = try folder.write("a.jsonl", "{\"text\": \"one\"}\n")
        let parts = try TextParts([lines, path], options: TextOptions(), partSize: 1 << 20)
        #expect(parts.count == 4 && (1...3).allSatisfy { parts.byteCount($0) > 100 })
        for (part, rows) in [(1, 0..<50), (2, 50..<100), (3, 100..<120)] {
            var found: [String] = []
            try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
                #expect(batch.place(of: 0) == "\(path), row \(rows.lowerBound + 1)")
                try inOrder(batch, &found)
            }
            #expect(found == Array(Self.texts[rows]))
        }
        let skipping = try TextParts(
            [path], options: TextOptions(textKey: "maybe", skipsBadLines: true), partSize: 1 << 20)
        #expect(try skipping.firstSkipped(of: 1)?.contains("row 52 (row group 2 of 3)") == true)
    }

    @Test func filesAreKnownByTheirFirstBytesAndFoundInFolders() throws {
        let bytes = try ParquetFixture.bytes("plain")
        for name in ["texts", "texts.jsonl"] {
            #expect(try DocumentIndex(path: folder.write(name, bytes)).count == 120, "\(name)")
        }
        try folder.makeFolder("d")
        try folder.write("d/b.parquet", bytes)
        try folder.write("d/a.jsonl", "{\"text\": \"first\"}\n")
        try folder.write("d/notes.md", "no text")
        let index = try DocumentIndex(path: folder.path("d"))
        #expect(index.count == 121)
        #expect(try index.text(0) == "first")
        #expect(try index.text(1) == Self.texts[0])
        #expect(index.findings.passedOver == [folder.path("d/notes.md")])
        let none = try folder.write("no.parquet", "{\"text\": \"a\"}")
        let error = #expect(throws: UserFacingError.self) { try DocumentIndex(path: none) }
        #expect(error?.message.contains("does not begin with PAR1") == true)
    }

    @Test(arguments: ParquetFixture.names)
    func rowsAreObjectsWithTheirOtherColumns(_ name: String) throws {
        let parts = try TextParts(
            [ParquetFixture.path(name)], options: TextOptions(), fields: .all, partSize: 1 << 20)
        #expect(parts.files[0].unreadColumns == ["blob", "words.list.element", "price", "id"])
        var rows: [JSON] = []
        for part in 0..<parts.count {
            try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
                for index in batch.parts.indices {
                    let record = batch.record(index, text: Array("new \(rows.count)".utf8))
                    #expect(record.last == UInt8(ascii: "\n"))
                    rows.append(try JSON(parsing: record, file: name))
                }
            }
        }
        #expect(rows.count == ParquetFixture.rowCount)
        for (row, object) in rows.enumerated() {
            let body: JSON = row % 11 == 5 ? .null : .string("body \(row)")
            let long = row % 5 == 1 ? "null" : "\((row - 60) << 56)"
            let day = "1970-\(row < 31 ? "01" : row < 59 ? "02" : row < 90 ? "03" : "04")"
            #expect(object["text"]?.string == "new \(row)")
            #expect(object["maybe"]?.string == ParquetFixture.maybe(row))
            #expect(object["data"]?["body"] == body)
            #expect(object["small"]?.int == row - 60 && object["long"]?.text == long)
            #expect(object["huge"]?.text == "\(UInt.max - UInt(row))")
            #expect(object["float"]?.double == Double(row) / 4 && object["double"]?.double == Double(row) / 3)
            #expect(object["flag"] == .bool(row % 3 == 0) && object["nothing"]?.isNull == true)
            #expect(object["day"]?.string?.hasPrefix(day) == true)
            #expect(
                object["at"]?.string?.hasPrefix("1970-01-01T00:0\(row * 1_000_003 / 60_000_000):") == true)
        }
        #expect(rows[119]["at"]?.string == "1970-01-01T00:01:59.000357Z")
        #expect(rows[58]["day"]?.string == "1970-02-28" && rows[59]["day"]?.string == "1970-03-01")
        #expect(rows[0]["at"]?.string == "1970-01-01T00:00:00Z")
    }

    @Test func onlyWantedColumnsComeAlong() throws {
        let path = ParquetFixture.path("plain")
        func first(_ fields: TextFields) throws -> JSON {
            var found: JSON = .null
            let parts = try TextParts([path], options: TextOptions(), fields: fields, partSize: 1 << 20)
            try parts.forEachBatch(of: 0) { batch throws(UserFacingError) in
                found = try JSON(parsing: batch.record(0, text: []), file: path)
            }
            return found
        }
        #expect(try first(.none).object?.keys == ["text"])
        #expect(try first(.named(["data", "day", "elsewhere"])).object?.keys == ["text", "data", "day"])
        let error = #expect(throws: UserFacingError.self) { try first(.named(["price"])) }
        #expect(error?.message.contains("its column \"price\"") == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        (0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (19_782, "2024-02-29"),
        (-719_162, "0001-01-01"), (2_932_896, "9999-12-31"), (-25_509, "1900-02-28"), (-25_508, "1900-03-01"),
    ])
    func daysAreOfTheGregorianCalendar(_ number: Int, _ name: String) {
        #expect(CivilDay(sinceEpoch: number).description == name)
    }

    @Test(arguments: [
        (-1, 1000, "1969-12-31T23:59:59.999"),
        (1_715_939_999_000_000_001, 1_000_000_000, "2024-05-17T09:59:59.000000001"),
    ])
    func momentsHaveTheirParts(_ number: Int, _ perSecond: Int, _ name: String) {
        #expect(CivilDay.moment(number, perSecond: perSecond) == name)
    }
}
