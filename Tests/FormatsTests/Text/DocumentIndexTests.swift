import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Documents in any order")
struct DocumentIndexTests {
    let folder = try? TemporaryFolder()

    private func file(_ name: String, _ text: String) throws -> DocumentIndex {
        try DocumentIndex(path: #require(folder).write(name, text))
    }

    @Test func readsLinesAndPassesOverBlankOnes() throws {
        let file = try file(
            "a.jsonl",
            "{\"text\": \"one\"}\n\n  \r\n{\"id\": 3, \"text\": \"zwei\\n\\u00e4\"}\n{\"text\": \"\"}\n{\"text\": \"drei\"}"
        )
        #expect(file.count == 4)
        #expect(try (0..<4).map(file.text) == ["one", "zwei\nä", "", "drei"])
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
            "{\"text\": \"a\"}\nnot json\n",
            "line 2: it is not JSON: at its byte 0 there is \"n\" where a value"
        ),
        (
            "{\"text\": \"a\"}\n\n{\"body\": \"b\", \"id\": 1}\n",
            "line 3: it is an object with the keys body, id"
        ),
        ("{\"text\": \"a\"}\n[1]\n", "line 2: it is an array"),
        ("{\"text\": 5}", "line 1: it is an object whose \"text\" is the number 5"),
    ])
    func namesTheBadLine(_ text: String, _ message: String) throws {
        let error = #expect(throws: UserFacingError.self) { try file("bad.jsonl", text) }
        #expect(error?.description.contains("/bad.jsonl, \(message)") == true, "\(String(describing: error))")
    }

    @Test func refusesWhatHoldsNoText() throws {
        for (name, text) in [
            ("a.jsonl", "\n\n"), ("b.jsonl", ""), ("c.txt", ""), ("d.jsonl", "{\"text\": \"\"}"),
        ] {
            let path = try #require(folder).write(name, text)
            #expect(throws: UserFacingError.noDocuments(paths: [path])) { try DocumentIndex(path: path) }
        }
        let path = try #require(folder).write("a.html", "<p>")
        #expect(throws: UserFacingError.unknownKind(path: path)) { try DocumentIndex(path: path) }
    }

    @Test func saysWhereBytesStopBeingUTF8() throws {
        let path = try #require(folder).write("latin.txt", Data([0x61, 0x0A, 0xC3, 0xA4, 0xE4, 0x62]))
        let error = #expect(throws: UserFacingError.self) { try DocumentIndex(path: path) }
        #expect(error?.message.contains("latin.txt, line 2: its byte 2 is not valid UTF-8") == true)
    }

    @Test func aLongTextFileIsStillOneDocument() throws {
        let text = String(repeating: "a line\n", count: 1_500_000)
        let file = try file("long.txt", text)
        #expect(try file.count == 1 && file.text(0) == text)
    }
}
