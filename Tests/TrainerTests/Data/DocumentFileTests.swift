import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct DocumentFileTests {
    let folder = try? TemporaryFolder()

    private func file(_ name: String, _ text: String) throws -> DocumentFile {
        try DocumentFile(path: #require(folder).write(name, text))
    }

    @Test func readsLinesAndPassesOverBlankOnes() throws {
        let file = try file(
            "a.jsonl",
            "{\"text\": \"one\"}\n\n  \r\n{\"id\": 3, \"text\": \"zwei\\n\\u00e4\"}\n{\"text\": \"\"}\n{\"text\": \"drei\"}"
        )
        #expect(file.count == 3)
        #expect(try (0..<3).map(file.text) == ["one", "zwei\nä", "drei"])
    }

    @Test func readsLinesThatCrossTheChunksItReads() throws {
        let long = String(repeating: "x", count: 3_000_000)
        let file = try file("a.jsonl", (0..<4).map { "{\"text\": \"\($0)\(long)\"}\n" }.joined())
        #expect(file.count == 4)
        #expect(try (0..<4).map { try file.text($0).first } == ["0", "1", "2", "3"])
        #expect(try file.text(3).count == long.count + 1)
    }

    @Test func aTextFileIsOneDocument() throws {
        let file = try file("a.txt", "one\n\ntwo\n")
        #expect(try (0..<file.count).map(file.text) == ["one\n\ntwo\n"])
    }

    @Test(arguments: [
        (
            "{\"text\": \"a\"}\nnot json\n", 2,
            "it is not JSON: at its byte 0 \"n\" where a value (null?) should be"
        ),
        ("{\"text\": \"a\"}\n\n{\"body\": \"b\", \"id\": 1}\n", 3, "it has the keys body, id"),
        ("[1]\n", 1, "it is an array"),
        ("{\"text\": 5}", 1, "it has the keys text"),
    ])
    func namesTheBadLine(_ text: String, _ line: Int, _ reason: String) throws {
        let path = try #require(folder).write("bad.jsonl", text)
        #expect(throws: DataError.badLine(path: path, line: line, reason: reason)) {
            try DocumentFile(path: path)
        }
    }

    @Test func refusesWhatHoldsNoText() throws {
        for (name, text) in [
            ("a.jsonl", "\n\n"), ("b.jsonl", ""), ("c.txt", ""), ("d.jsonl", "{\"text\": \"\"}"),
        ] {
            let path = try #require(folder).write(name, text)
            #expect(throws: DataError.empty(path: path)) { try DocumentFile(path: path) }
        }
        let path = try #require(folder).write("a.parquet", "PAR1")
        #expect(throws: DataError.unknownKind(path: path)) { try DocumentFile(path: path) }
    }

    @Test func saysWhereBytesStopBeingUTF8() throws {
        let path = try #require(folder).write("latin.txt", Data([0x61, 0xC3, 0xA4, 0xE4, 0x62]))
        #expect(throws: DataError.notUTF8(path: path, offset: 3)) { try DocumentFile(path: path) }
    }
}
