import Foundation
import Testing

@testable import Formats
@testable import Models

/// Tokenizers of KerasHub with its own ids: made by `Scripts/fixtures/keras_tokenizers.py`.
@Suite("Tokenizers in KerasHub's and Hugging Face's terms")
struct KerasTokenizerTests {
    private static let names = ["gpt2", "llama3", "llama", "gemma", "mistral-nfkc"]

    private static func folder(_ name: String) -> String {
        (Bundle.module.resourcePath ?? "") + "/Fixtures/KerasTokenizers/" + name
    }

    private func auxiliaryFiles(_ name: String) throws -> [AuxiliaryFile] {
        try (["tokenizer.json"] + KerasTokenizer.assetNames).compactMap { file in
            let path = Self.folder(name) + "/" + file
            guard FileSystem.kind(of: path) == .file else { return nil }
            return AuxiliaryFile(name: file, content: .file(try InputFile(path: path)))
        }
    }

    private func golden(_ name: String) throws -> [(text: String, ids: [Int32])] {
        let json = try JSON.read(path: Self.folder(name) + "/golden.json")
        let texts = try #require(json["texts"]?.array).compactMap(\.string)
        let ids = try #require(json["ids"]?.array).map { ($0.array ?? []).compactMap(\.int).map(Int32.init) }
        #expect(texts.count == ids.count && texts.count > 10)
        return Array(zip(texts, ids)).map { (text: $0.0, ids: $0.1) }
    }

    @Test(arguments: names) func encodesAsKerasHubDoes(name: String) throws {
        let tokenizer = try TokenizerFiles.open(Self.folder(name)).tokenizer()
        for (text, ids) in try golden(name) {
            #expect(try tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text)")
        }
    }

    @Test func textsBeginAsTheFamilyBeginsThem() throws {
        let firsts = [("gpt2", "a"), ("llama3", "<|begin_of_text|>"), ("llama", "<s>"), ("gemma", "<bos>")]
        for (name, first) in firsts {
            let tokenizer = try TokenizerFiles.open(Self.folder(name)).tokenizer()
            #expect(try tokenizer.encode("a").first == tokenizer.id(of: first))
        }
    }

    /// What goes to Hugging Face and comes back has the same settings, vocabulary and merges.
    @Test(arguments: names) func thereAndBackIsTheSame(name: String) throws {
        let old = try auxiliaryFiles(name)
        let keras = try #require(try KerasTokenizer(of: old, path: name))
        let made = try keras.huggingFace().files.kerasHub(keras.kind)
        #expect(made.map(\.name).sorted() == old.map(\.name).sorted())
        for auxiliaryFile in old {
            let other = try #require(made.first { $0.name == auxiliaryFile.name })
            if auxiliaryFile.name.hasSuffix(".json") {
                let (before, after) = (try auxiliaryFile.json().json, try other.json().json)
                #expect(normalized(before) == normalized(after), "\(auxiliaryFile.name)")
            } else {
                #expect(try auxiliaryFile.bytes() == other.bytes(), "\(auxiliaryFile.name)")
            }
        }
    }

    /// The same with the members of lists and objects, whose order KerasHub leaves to chance, in order.
    private func normalized(_ json: JSON) -> JSON {
        var json = json
        if let tokens = json["config"]?["unsplittable_tokens"]?.array {
            json["config"]?["unsplittable_tokens"] = .array(
                tokens.sorted { ($0.string ?? "") < ($1.string ?? "") })
        }
        if json["config"] != nil { json["config"]?["name"] = .null }
        var sorted = JSONObject()
        for (key, value) in (json.object ?? JSONObject()).sorted(by: { $0.key < $1.key }) {
            sorted[key] = value
        }
        return .object(sorted)
    }

    @Test func addedTokensBecomePieces() throws {
        let keras = try #require(try KerasTokenizer(of: auxiliaryFiles("llama"), path: "llama"))
        let files = try keras.huggingFace().files
        let before = try files.tokenizer().largestID
        let extra = VocabularyExtension(
            added: [.init(id: Int32(before + 1), content: "<pad>", isSpecial: true)])
        let bytes = try #require(try files.bytes("tokenizer.model"))
        // As a file that knows nothing of the token that tokenizer.json has.
        var apart = try files.extended(by: extra)
        apart.replace("tokenizer.model", with: bytes)
        let made = try apart.kerasHub(keras.kind, like: keras.json)
        let model = try SentencePieceModel(
            #require(made.first { $0.name.hasSuffix(".spm") }).bytes(), file: "vocabulary.spm")
        #expect(model.count == before + 2 && model.pieces.last?.kind == .control)
    }

    @Test func whatHasNoCounterpartIsRefused() throws {
        var error = #expect(throws: UserFacingError.self) {
            try TokenizerFiles.open(Self.folder("unigram"))
        }
        #expect("\(try #require(error))".contains("Unigram"))
        var files = try auxiliaryFiles("gpt2")
        files[0].content = .bytes(Array(#"{"class_name": "BertTokenizer"}"#.utf8))
        error = #expect(throws: UserFacingError.self) { try KerasTokenizer(of: files, path: "model") }
        #expect(error == .unknownKerasTokenizer(file: "model/tokenizer.json", name: "BertTokenizer"))
        error = #expect(throws: UserFacingError.self) {
            let gpt2 = try TokenizerFiles.open(Self.folder("gpt2"))
            return try gpt2.kerasHub(#require(KerasTokenizerClass.named("Llama3Tokenizer")))
        }
        #expect("\(try #require(error))".contains("a Llama3Tokenizer needs the token <|begin_of_text|>"))
        files = try auxiliaryFiles("gpt2").filter { !$0.name.hasSuffix("merges.txt") }
        error = #expect(throws: UserFacingError.self) {
            try KerasTokenizer(of: files, path: "model")?.huggingFace()
        }
        #expect("\(try #require(error))".contains("assets/tokenizer/merges.txt"))
    }
}
