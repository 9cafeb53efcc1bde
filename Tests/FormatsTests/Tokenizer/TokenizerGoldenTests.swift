import Foundation
import Testing

@testable import Formats

/// The folder of tokenizer fixtures.
let tokenizerFixtures = Bundle.module.resourcePath.map { $0 + "/Fixtures/Tokenizers" } ?? ""

/// Texts, and what Hugging Face tokenizers makes of them (Scripts/fixtures/tokenizer_goldens.py).
@Suite struct TokenizerGolden {
    @Test(arguments: ["gpt2", "llama2", "llama3", "metaspace", "qwen2"])
    func encodesAndDecodesAsTheReference(_ name: String) throws {
        let folder = tokenizerFixtures + "/" + name
        let tokenizer = try Tokenizer.open(folder)
        let texts = try elements(of: JSON.read(path: tokenizerFixtures + "/texts.json"))
        let cases = try elements(of: JSON.read(path: folder + "/golden.json")["cases"])
        #expect(texts.count == cases.count)
        #expect(cases.count >= 40)
        for (text, golden) in zip(texts, cases) {
            let text = try #require(text.string)
            let ids = try elements(of: golden["ids"]).compactMap(\.int).map { Int32($0) }
            let plain = try elements(of: golden["ids_without_special"]).compactMap(\.int).map { Int32($0) }
            let comment = Comment(rawValue: "\(name): \(text.prefix(60).debugDescription)")
            #expect(try tokenizer.encode(text) == ids, comment)
            #expect(try tokenizer.encode(text, addSpecialTokens: false) == plain, comment)
            #expect(.string(tokenizer.decode(ids, skipSpecialTokens: true)) == golden["decoded"], comment)
            #expect(.string(tokenizer.decode(ids)) == golden["decoded_with_special"], comment)
        }
    }

    private func elements(of value: JSON?) throws -> [JSON] { try #require(value?.array) }
}
