import Foundation
import Testing

@testable import Formats

@Suite("Editing a tokenizer's files")
struct TokenizerFilesTests {
    private static let tokenizer = """
        {
          "version": "1.0",
          "added_tokens": [
            {"id": 3, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
          ],
          "pre_tokenizer": null, "x": 1e-05,
          "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [%]}
        }

        """

    private func files(_ extra: [(String, String)] = [], merges: String = #""a b""#) -> TokenizerFiles {
        let main = ("tokenizer.json", Self.tokenizer.replacingOccurrences(of: "%", with: merges))
        return TokenizerFiles(
            of: ([main] + extra).map { AuxiliaryFile(name: $0.0, content: .bytes(Array($0.1.utf8))) },
            path: "model")
    }

    private let extra = VocabularyExtension(
        tokens: [.init(id: 4, spelling: "aba")], merges: [.init(left: "ab", right: "a")],
        added: [.init(id: 5, content: "<new>", isSpecial: true)])

    @Test func appendsAndKeepsEverythingElse() throws {
        let result = try files().extended(by: extra)
        let text = String(decoding: try #require(try result.bytes("tokenizer.json")), as: UTF8.self)
        #expect(text.contains("\"x\": 1e-05") && text.hasSuffix("}\n"))
        let json = try #require(try result.json("tokenizer.json"))
        #expect(json.object?.keys == ["version", "added_tokens", "pre_tokenizer", "x", "model"])
        // An added token outside the vocabulary would be given another id by readers that count.
        #expect(json["model"]?["vocab"] == ["a": 0, "b": 1, "ab": 2, "<end>": 3, "aba": 4])
        #expect(json["model"]?["merges"] == ["a b", "ab a"])
        let tokenizer = try result.tokenizer()
        #expect(try tokenizer.encode("aba<end>ab<new>", addSpecialTokens: false) == [4, 3, 2, 5])
        #expect(try tokenizer.reach(of: 4) == .typed)
    }

    @Test func keepsTheFormOfMerges() throws {
        let result = try files(merges: #"["a", "b"]"#).extended(by: extra)
        #expect(try result.json("tokenizer.json")?["model"]?["merges"] == [["a", "b"], ["ab", "a"]])
    }

    @Test func theOtherFilesFollow() throws {
        let result = try files([
            (
                "tokenizer_config.json",
                #"{"added_tokens_decoder": {"3": {"content": "<end>"}}, "additional_special_tokens": []}"#
            ),
            ("special_tokens_map.json", #"{"eos_token": "<end>"}"#), ("added_tokens.json", #"{"<end>": 3}"#),
            ("vocab.json", #"{"a": 0, "b": 1, "ab": 2}"#), ("merges.txt", "#version: 0.2\na b"),
        ]).extended(by: extra)
        let configuration = try #require(try result.json("tokenizer_config.json"))
        #expect(configuration["added_tokens_decoder"]?["5"]?["content"] == "<new>")
        #expect(configuration["additional_special_tokens"] == ["<new>"])
        #expect(try result.json("special_tokens_map.json")?["additional_special_tokens"] == ["<new>"])
        #expect(try result.json("added_tokens.json") == ["<end>": 3, "<new>": 5])
        #expect(try result.json("vocab.json")?["aba"] == 4)
        #expect(try result.bytes("merges.txt") == Array("#version: 0.2\na b\nab a\n".utf8))
    }

    @Test func tellsATokenThatCanNotBeReached() throws {
        let broken = VocabularyExtension(tokens: [.init(id: 4, spelling: "bab")])
        #expect(try files().extended(by: broken).tokenizer().reach(of: 4) == .not([1, 2]))
    }

    @Test func appendsPiecesToSentencePiece() throws {
        // {piece "a", score -1} {piece "b", score -2} and a trainer_spec of vocab_size 2.
        let piece = { (text: UInt8, score: [UInt8]) in [0x0A, 8, 0x0A, 1, text, 0x15] + score }
        let old = piece(0x61, [0, 0, 0x80, 0xBF]) + piece(0x62, [0, 0, 0, 0xC0]) + [0x12, 2, 0x20, 2]
        var model = try SentencePieceModel(old, file: "tokenizer.model")
        try model.append(extra, to: files().tokenizer())
        #expect(Array(model.bytes.prefix(old.count)) == old)
        // What only the tokenizer has comes first: {piece "ab", score 0, type unused}, {piece "<end>", type control}; then
        // {piece "aba", score -3}, {piece "<new>", score 0, type control}, trainer_spec {vocab_size 6}.
        let missing: [UInt8] =
            [0x0A, 11, 0x0A, 2, 0x61, 0x62, 0x15, 0, 0, 0, 0, 0x18, 5]
            + [0x0A, 14, 0x0A, 5] + Array("<end>".utf8) + [0x15, 0, 0, 0, 0, 0x18, 3]
        let appended: [UInt8] =
            missing + [0x0A, 10, 0x0A, 3, 0x61, 0x62, 0x61, 0x15, 0, 0, 0x40, 0xC0]
            + [0x0A, 14, 0x0A, 5] + Array("<new>".utf8) + [0x15, 0, 0, 0, 0, 0x18, 3] + [0x12, 2, 0x20, 6]
        #expect(Array(model.bytes.dropFirst(old.count)) == appended)
        #expect(throws: UserFacingError.self) {
            _ = try SentencePieceModel(Array("IQ== 0\n".utf8), file: "tokenizer.model")
        }
    }
}
