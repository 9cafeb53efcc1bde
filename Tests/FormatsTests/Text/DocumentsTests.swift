import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Documents in order")
struct DocumentsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func texts(_ content: Data, _ name: String) throws -> [String] {
        let path = try folder.write(name, content)
        var texts: [String] = []
        var findings = TextFindings()
        try Documents(paths: [path]).forEachBatch { batch throws(UserFacingError) in
            for part in batch.parts.indices {
                if let text = try batch.text(part, noting: &findings) {
                    texts.append(String(decoding: text, as: UTF8.self))
                }
            }
        }
        return texts
    }

    private func words(
        _ content: Data, _ name: String = "corpus.jsonl", _ tokenizer: String = "gpt2"
    ) throws -> [String: Int] {
        let path = try folder.write(name, content)
        let words = try WordCounts.counted(
            in: Documents(paths: [path]), Tokenizer.open(tokenizerFixtures + "/" + tokenizer), threads: 3)
        var counts: [String: Int] = [:]
        for index in words.counts.indices {
            let word = words.words.withString(index) { String(decoding: Array(copying: $0), as: UTF8.self) }
            counts[word] = words.counts[index]
        }
        return counts
    }

    @Test func aLineIsADocumentAndATextFileIsOne() throws {
        let lines = #"{"id": 1, "text": "a b b"}"# + "\n\n  \n" + #"{"text": "a b\nc"}"#
        #expect(try texts(Data(lines.utf8), "a.jsonl") == ["a b b", "a b\nc"])
        #expect(try texts(Data("a b b\n\na b\nc".utf8), "a.txt") == ["a b b\n\na b\nc"])
        // The second line's end and its indentation are one word only where both lines are one text.
        #expect(try words(Data("a\n\n  b".utf8), "b.txt")["\n\n "] == 1)
        let counts = try words(Data(lines.utf8))
        #expect(counts["a"] == 2 && counts[" b"] == 3 && counts["c"] == 1)
    }

    /// A long document falls into parts that together are the document, and into the same words wherever the tokenizer
    /// divides text before a line.
    @Test(arguments: ["gpt2", "llama3", "qwen2"])
    func aLongDocumentHasTheWordsOfTheWhole(_ name: String) throws {
        let line = "The sheets' cells, 한국어 문서를 읽는 12345 사람들이!\n\n  indented\ttext.\n\"quoted\"\nso. "
        let text = Data(String(repeating: line, count: 120_000).utf8)
        #expect(text.count > 9 << 20)
        let parts = try texts(text, "long.txt")
        #expect(parts.count > 9 && parts.allSatisfy { $0.utf8.count <= 1 << 20 })
        #expect(Data(parts.joined().utf8) == text)
        let json: JSON = ["text": .string(String(decoding: text, as: UTF8.self))]
        let whole = try words(Data(json.serialized(indent: nil)), "whole.jsonl", name)
        #expect(try words(text, "parts.txt", name) == whole && whole.count > 10)
    }

    /// Where there is no line and no space, a document is cut between two characters.
    @Test func aDocumentOfOneWordIsCutBetweenCharacters() throws {
        let text = "x" + String(repeating: "가", count: 1 << 20)
        let parts = try texts(Data(text.utf8), "word.txt")
        #expect(parts.count == 4 && parts.joined() == text)
        let spaced = String(repeating: "ab  ", count: 1 << 19)
        #expect(try texts(Data(spaced.utf8), "spaced.txt").dropFirst().allSatisfy { $0.hasPrefix("  ab") })
    }

    /// The first line that can't be used is named, whichever thread meets which.
    @Test(arguments: [
        (
            "{\"text\": \"a\"}\n{\"text\": \"b\"}\nnot json\nnor this\n",
            "line 3: it is not JSON: at its byte 0 there is \"n\""
        ),
        (
            "{\"text\": \"a\"}\n{\"txt\": 1}\n",
            "line 2: it is an object with the keys txt; expected an object with a string"
        ),
        ("{\"text\": \"a\"}\n[1]\n", "line 2: it is an array"),
        ("{\"text\": 5}", "line 1: it is an object whose \"text\" is the number 5"),
        ("\n \n", "no text in it"), ("", "no text in it"), ("{\"text\": \"\"}", "no text in it"),
    ])
    func refuses(_ content: String, _ message: String) throws {
        let error = try #require(throws: UserFacingError.self) { try self.words(Data(content.utf8)) }
        #expect("\(error)".contains("corpus.jsonl") && "\(error)".contains(message), "\(error)")
        #expect(error.fault == .input)
    }

    @Test func namesTheLineThatIsNotUTF8() throws {
        let json = Data("{\"text\": \"a\"}\n{\"text\": \"".utf8) + [0xEC, 0x9D] + Data("\"}\n".utf8)
        // The last one is cut before its invalid byte, in the middle of its second line.
        let long = Data("ok\n".utf8) + Data(repeating: 0x61, count: 9 << 20) + [0xFF]
        for (content, name, byte) in [
            (json, "c.jsonl", 10), (Data("ok\nab".utf8) + [0xFF], "c.txt", 2), (long, "d.txt", 9 << 20),
        ] {
            let error = #expect(throws: UserFacingError.self) { try self.words(content, name) }
            let place = "\(folder.path)/\(name), line 2: its byte \(byte) is not valid UTF-8"
            #expect(error?.message.hasPrefix(place) == true, "\(String(describing: error))")
        }
    }

    @Test func refusesOtherKindsOfFiles() throws {
        let path = try folder.write("a.html", Data("<p>".utf8))
        #expect(throws: UserFacingError.unknownKind(path: path)) {
            try Documents(paths: [path]).forEachBatch { _ in }
        }
    }

    @Test func dividesUndividedTextAtItsSpaces() {
        var words: [String] = []
        let text = Array("▁to▁▁▁be▁or\n▁".utf8)
        Tokenizer.forEachSpacedWord(in: text.span) { words.append(String(decoding: text[$0], as: UTF8.self)) }
        #expect(words == ["▁to", "▁▁", "▁be", "▁or\n", "▁"])
    }
}
