import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Corpora")
struct TextCorpusTests {
    private func words(_ content: [UInt8], _ name: String = "corpus.jsonl") throws -> WordCounts? {
        let folder = try TemporaryFolder()
        let path = folder.path + "/" + name
        try Data(content).write(to: URL(filePath: path))
        let tokenizer = try Tokenizer.open(tokenizerFixtures + "/gpt2")
        return try WordCounts.counted(in: TextCorpus(paths: [path]), tokenizer, threads: 3)
    }

    @Test func countsTheWordsOfEveryLine() throws {
        let json = #"{"id": 1, "text": "a b b"}"# + "\n\n  \n" + #"{"text": "a b\nc"}"#
        for (content, name) in [(json, "corpus.jsonl"), ("a b b\na b\nc", "corpus.txt")] {
            let words = try #require(try words(Array(content.utf8), name))
            var counts: [String: Int] = [:]
            for index in 0..<words.counts.count {
                counts[
                    words.words.withString(index) { String(decoding: Array(copying: $0), as: UTF8.self) }] =
                    words.counts[index]
            }
            #expect(counts["a"] == 2 && counts[" b"] == 3 && counts["c"] == 1)
        }
    }

    /// The first line that can't be used is named, whichever thread meets which.
    @Test(arguments: [
        (
            "{\"text\": \"a\"}\n{\"text\": \"b\"}\nnot json\nnor this\n",
            "line 3: it is not JSON: at its byte 0"
        ),
        (
            "{\"text\": \"a\"}\n{\"txt\": 1}\n",
            "line 2: it is an object with the keys txt; expected an object with a string"
        ),
        ("{\"text\": \"a\"}\n[1]\n", "line 2: it is an array"),
        ("\n \n", "no text in it"), ("", "no text in it"), ("{\"text\": \"\"}", "no text in it"),
    ])
    func refuses(_ content: String, _ message: String) throws {
        let error = try #require(throws: CorpusError.self) { try self.words(Array(content.utf8)) }
        #expect("\(error)".contains(message), "\(error)")
        #expect(error.fault == .input)
    }

    @Test func namesTheLineThatIsNotUTF8() throws {
        let bytes = Array("{\"text\": \"a\"}\n{\"text\": \"".utf8) + [0xEC, 0x9D] + Array("\"}\n".utf8)
        for (content, name, byte) in [(bytes, "c.jsonl", 10), (Array("ok\nab".utf8) + [0xFF], "c.txt", 2)] {
            let error = try #require(throws: CorpusError.self) { try self.words(content, name) }
            guard case .notUTF8(_, 2, byte) = error else {
                Issue.record("\(error)")
                continue
            }
        }
    }

    @Test func refusesOtherKindsOfFiles() throws {
        #expect(throws: CorpusError.unknownKind(path: "a.csv")) {
            let tokenizer = try Tokenizer.open(tokenizerFixtures + "/gpt2")
            _ = try WordCounts.counted(in: TextCorpus(paths: ["a.csv"]), tokenizer, threads: 1)
        }
    }

    @Test func dividesUndividedTextAtItsSpaces() {
        var words: [String] = []
        let text = Array("▁to▁▁▁be▁or\n▁".utf8)
        Tokenizer.forEachSpacedWord(in: text.span) { words.append(String(decoding: text[$0], as: UTF8.self)) }
        #expect(words == ["▁to", "▁▁", "▁be", "▁or\n", "▁"])
    }
}
