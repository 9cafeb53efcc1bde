import TestSupport
import Testing

@testable import Formats

@Suite struct NamedFieldsTests {
    let folder: TemporaryFolder
    private let names = ["subject", "relation", "object"]

    init() throws { folder = try TemporaryFolder() }

    /// The lines of a file with their fields, or with what is wrong.
    private func lines(_ name: String, _ text: String) throws -> [(
        line: Int, fields: [String], error: String
    )] {
        var lines: [(Int, [String], String)] = []
        try NamedFields.forEach(in: try folder.write(name, text), names) {
            line, result throws(UserFacingError) in
            switch result {
            case .success(let fields): lines.append((line, fields, ""))
            case .failure(let error): lines.append((line, [], error.message))
            }
        }
        return lines
    }

    @Test func readsColumns() throws {
        let text =
            "\u{FEFF}subject\trelation\tobject\r\n\r\n \"Seoul\" \tcapital of\tSouth, \"Korea\"\r\n서울\t수도\t대한민국"
        let lines = try lines("a.tsv", text)
        #expect(lines.map(\.line) == [3, 4])
        #expect(lines[0].fields == ["\"Seoul\"", "capital of", "South, \"Korea\""])
        #expect(lines[1].fields == ["서울", "수도", "대한민국"])
    }

    @Test(arguments: [
        ("a\tb\n", "2 columns"), ("a\tb\tc\td\n", "4 columns"), ("a\t\tc\n", "an empty \"relation\""),
        ("a\tb\t \r\n", "an empty \"object\""), ("\tb\tc\n", "an empty \"subject\""), ("abc\n", "1 column"),
    ])
    func namesWhatIsWrongWithColumns(_ text: String, _ found: String) throws {
        let lines = try lines("a.tsv", "x\ty\tz\n" + text)
        #expect(lines.count == 2 && lines[1].line == 2)
        #expect(lines[1].error.contains("a.tsv, line 2: it has \(found); expected the columns subject"))
    }

    @Test func readsObjects() throws {
        let lines = try lines(
            "a.jsonl",
            """
            {"subject": " a\\tb ", "relation": "r", "object": "c\\"d", "id": 3}

            {"subject": "a", "relation": "r", "object": 3}
            ["a", "r", "c"]
            {"subject": "a", "relation": "r"
            {"subject": "a", "relation": "", "object": "c"}
            """)
        #expect(lines.map(\.line) == [1, 3, 4, 5, 6])
        #expect(lines[0].fields == ["a\tb", "r", "c\"d"])
        #expect(lines[1].error.contains("no string \"object\""))
        #expect(lines[2].error.contains("no object of JSON") && lines[3].error.contains("no object of JSON"))
        #expect(lines[4].error.contains("an empty \"relation\""))
    }

    @Test func namesBytesThatAreNotUTF8() throws {
        var found: [String] = []
        let path = try folder.write("a.tsv", Array("a\tb\tc\n\t".utf8) + [0xFF, 0x0A])
        try NamedFields.forEach(in: path, names) { _, result throws(UserFacingError) in
            if case .failure(let error) = result { found.append(error.message) }
        }
        #expect(found.count == 1 && found[0].contains("line 2") && found[0].contains("byte 1"))
    }

    @Test func refusesOtherFiles() throws {
        let path = try folder.write("a.csv", "a,b,c\n")
        let names = names
        let error = #expect(throws: UserFacingError.self) {
            try NamedFields.forEach(in: path, names) { _, _ in }
        }
        #expect(error?.message.contains("is called .tsv") == true)
    }
}

@Suite struct SynthesisTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func readsTheMark() throws {
        let marks: [(String, Synthesis?)] = [
            (#"{"text": "a", "synthetic": "triples"}"#, .triples),
            (#"{"synthetic" : "replay", "text": "a"}"#, .replay),
            (#"{"text": "a", "synthetic": true}"#, .other), (#"{"text": "a", "synthetic": "gpt"}"#, .other),
            (#"{"text": "a", "synthetic": false}"#, nil), (#"{"text": "a", "synthetic": null}"#, nil),
            (#"{"text": "\"synthetic\": true"}"#, nil), (#"{"text": "a", "meta": {"synthetic": true}}"#, nil),
            (#"{"text": "a", "synthetic": false, "synthetic": "triples"}"#, .triples),
            (#"{"text": "a"}"#, nil),
        ]
        let path = try folder.write("a.jsonl", marks.map(\.0).joined(separator: "\n") + "\n")
        let index = try DocumentIndex(path: path)
        #expect(index.hasSynthetic)
        for (number, mark) in marks.enumerated() {
            #expect(index.isSynthetic(number) == (mark.1 != nil), "\(mark.0)")
        }
        var found: [Synthesis?] = []
        try TextParts([path], options: TextOptions(), partSize: 1 << 20).forEachBatch(of: 0) {
            batch throws(UserFacingError) in
            for index in batch.parts.indices { found.append(batch.synthesis(of: index)) }
        }
        #expect(found == marks.map(\.1))
        #expect(try !DocumentIndex(path: try folder.write("b.txt", "\"synthetic\": true")).hasSynthetic)
    }
}
