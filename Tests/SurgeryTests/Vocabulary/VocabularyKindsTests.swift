import Formats
import OrderedCollections
import Testing

@testable import Surgery

/// What has a row for each token, and which rows are free.
@Suite("What follows a vocabulary, and what is taken")
struct VocabularyKindsTests {
    private static let tokenizer = """
        {"version": "1.0", "added_tokens": [{"id": 12, "content": "<end>", "special": true}], "pre_tokenizer": null,
         "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9,
                   "j": 10, "k": 11, "<end>": 12}, "merges": ["a b"]}}
        """
    /// The tokenizer's tokens.
    private static let count = 13
    private static let width = 3

    /// A tensor whose numbers tell their place.
    private func tensor(_ name: String, _ shape: [Int], _ type: ElementType = .f32) throws -> TensorExpression
    {
        if type != .f32 {
            let bytes = [UInt8](repeating: 1, count: shape.reduce(1, *) * (type.byteCount(elements: 1) ?? 1))
            return try .stored(MemoryTensor(name: name, type: type, shape: shape, bytes: bytes))
        }
        return try .stored(
            MemoryTensor(name: name, shape: shape, floats: (0..<shape.reduce(1, *)).map { Float($0) }))
    }

    private func model(
        rows: Int = Self.count, settings: String = "", generation: String = "{}",
        tensors extra: [(String, [Int])] = [], files: [(String, String)] = [], main: String? = Self.tokenizer
    ) throws -> Checkpoint {
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for (name, shape) in [
            ("model.embed_tokens.weight", [rows, Self.width]), ("lm_head.weight", [rows, Self.width]),
            ("model.norm.weight", [Self.width]),
        ] + extra { tensors[name] = try tensor(name, shape) }
        let text = """
            {"model_type": "llama", "num_hidden_layers": 1, "vocab_size": \(rows), "eos_token_id": 12\(settings)}
            """
        let all =
            (main.map { [("tokenizer.json", $0)] } ?? []) + [("generation_config.json", generation)] + files
        return Checkpoint(
            path: "model", tensors: tensors, configuration: try MemoryModels.configuration(text),
            auxiliaryFiles: all.map { AuxiliaryFile(name: $0.0, content: .bytes(Array($0.1.utf8))) })
    }

    private func special(_ texts: String...) -> VocabularyResize {
        VocabularyResize(
            .extended(
                VocabularyExtension(
                    added: texts.enumerated().map {
                        .init(id: Int32(Self.count + $0), content: $1, isSpecial: true)
                    })), input: .subwordMean)
    }

    private func tokenizer(_ result: ResizedCheckpoint) throws -> Tokenizer {
        try TokenizerFiles(of: result.checkpoint.auxiliaryFiles, path: "").agreeingTokenizer()
    }

    private func row(_ result: ResizedCheckpoint, _ id: Int, _ name: String = "lm_head.weight") throws
        -> [Float]
    {
        try #require(result.checkpoint[name]).rows(id..<id + 1).floats()
    }

    private func old(_ id: Int) -> [Float] { (0..<Self.width).map { Float(id * Self.width + $0) } }

    private func message(_ body: () throws -> Void) -> String {
        (#expect(throws: UserFacingError.self) { try body() }).map { "\($0)" } ?? ""
    }

    // MARK: Which ids are taken

    @Test(arguments: [
        ("added_tokens.json", #"{"[PAD]": 13}"#),
        ("tokenizer_config.json", #"{"pad_token": "[PAD]"}"#),
        ("special_tokens_map.json", #"{"pad_token": "[PAD]"}"#),
        (
            "tokenizer_config.json",
            #"{"added_tokens_decoder": {"13": {"content": "[PAD]", "special": true}}}"#
        ),
    ])
    func theOtherFilesTokensAre(_ name: String, _ content: String) throws {
        let result = try model(rows: 14, files: [(name, content)]).vocabularyResized(
            VocabularyResize(
                .extended(VocabularyExtension(added: [.init(id: 14, content: "<|tool|>", isSpecial: true)]))))
        let new = try tokenizer(result)
        #expect(new.id(of: "[PAD]") == 13 && new.id(of: "<|tool|>") == 14 && result.rows == (14, 15))
        #expect(try row(result, 13) == old(13))
    }

    @Test(arguments: [
        (#", "image_token_index": 13, "pad_token_id": 14"#, "{}"),
        (#", "image_token_id": 13"#, #"{"pad_token_id": 14}"#),
        (#", "vision_config": {"image_token_ids": [13, 14]}"#, "{}"),
        ("", #"{"suppress_tokens": [13, 14]}"#), ("", #"{"bad_words_ids": [[13, 1], [14]]}"#),
    ])
    func whatTheConfigurationNamesIs(_ settings: String, _ generation: String) throws {
        let source = try model(rows: 16, settings: settings, generation: generation)
        let result = try source.vocabularyResized(special("<|tool|>"))
        let new = try tokenizer(result)
        #expect(new.id(of: "<|tool|>") == 15 && result.rows == (16, 16))
        for id in [13, 14] { #expect(try row(result, id) == old(id)) }
        #expect(try row(result, 15) != old(15))
        #expect(
            result.warnings.count == 2
                && result.warnings.contains { $0.contains("is 13, which the tokenizer has no token for") })
        let merged = VocabularyExtension(
            tokens: [.init(id: 13, spelling: "abc")], merges: [.init(left: "ab", right: "c")])
        let tokens = try source.vocabularyResized(VocabularyResize(.extended(merged)))
        #expect(try tokenizer(tokens).encode("abc", addSpecialTokens: false) == [15])
        #expect(try row(tokens, 13) == old(13))
    }

    @Test func anotherPartsVocabularyIsNotThisOne() throws {
        let source = try model(
            rows: 14,
            settings: #", "talker_config": {"vocab_size": 99, "codec_token_id": 13, "eos_token_id": 12}"#)
        let result = try source.vocabularyResized(special("<|tool|>"))
        #expect(try tokenizer(result).id(of: "<|tool|>") == 13 && result.warnings == [])
    }

    @Test func namedRowsStay() throws {
        let source = try model(rows: 20, settings: #", "image_token_index": 17"#)
        var request = special("<|tool|>")
        request.dropsPadding = true
        #expect(try source.vocabularyResized(request).rows == (20, 18))
        let refusal = message { _ = try source.vocabularyResized(VocabularyResize(.rows(15), input: .mean)) }
        #expect(
            refusal.contains(
                "config.json's image_token_index is 17, which 15 rows would not have; ask for 18"))
    }

    private static let other = """
        {"version": "1.0", "added_tokens": [{"id": 2, "content": "<end>", "special": true}%], "pre_tokenizer": null,
         "model": {"type": "BPE", "vocab": {"b": 0, "a": 1, "<end>": 2}, "merges": []}}
        """
    private static let image = #", {"id": 3, "content": "<image>", "special": true}"#

    private func replaced(
        _ settings: String, files: [(String, String)], hasImage: Bool = true, rows: Int = 16
    ) throws -> ResizedCheckpoint {
        let text = Self.other.replacing("%", with: hasImage ? Self.image : "")
        let new = TokenizerFiles(
            of: [AuxiliaryFile(name: "tokenizer.json", content: .bytes(Array(text.utf8)))], path: "new")
        return try model(rows: rows, settings: settings, files: files).vocabularyResized(
            VocabularyResize(.replaced(by: new, keepsOld: false)))
    }

    @Test func keysFollowTheirTokens() throws {
        let files = [("added_tokens.json", #"{"<image>": 13}"#)]
        for key in ["image_token_index", "image_token_id", "boi_token_index"] {
            let result = try replaced(#", "\#(key)": 13, "text": {"\#(key)": 13}"#, files: files)
            #expect(
                result.checkpoint.configuration?[key] == 3
                    && result.checkpoint.configuration?["eos_token_id"] == 2)
            #expect(result.checkpoint.configuration?["text"]?[key] == 3)
            #expect(try row(result, 3) == old(13))
            let refusal = message { _ = try replaced(#", "\#(key)": 13"#, files: files, hasImage: false) }
            #expect(
                refusal.contains("\(key) is 13 (\"<image>\"), a token that the new tokenizer does not have"))
        }
        let pad = try replaced(#", "pad_token_id": 7"#, files: [])
        #expect(pad.checkpoint.configuration?["pad_token_id"] == .null)
    }

    @Test func namedRowsWithoutATokenFollowBehind() throws {
        let result = try replaced(#", "image_token_index": 14"#, files: [])
        #expect(result.checkpoint.configuration?["image_token_index"] == 4 && result.rows == (16, 5))
        #expect(try row(result, 4) == old(14))
        let refusal = message { _ = try replaced(#", "image_token_index": 3"#, files: [], rows: 13) }
        #expect(
            refusal.contains("image_token_index is 3 (\"ab\"), a token that the new tokenizer does not have"))
    }

    @Test func filesThatDisagreeAreRefused() throws {
        let source = try model(
            files: [
                (
                    "tokenizer_config.json",
                    #"{"added_tokens_decoder": {"10": {"content": "<im>", "special": true}}}"#
                )
            ])
        for request in [special("<|tool|>"), VocabularyResize(.rows(20), input: .mean)] {
            let refusal = message { _ = try source.vocabularyResized(request) }
            #expect(
                refusal.contains(
                    #"tokenizer_config.json (added_tokens_decoder) gives "<im>" the id 10, but in tokenizer.json that is "j""#
                ))
        }
        #expect(Inspection(of: source).inconsistencies.contains { $0.contains("<im>") })
    }

    @Test func anUnusedTokenBehindTheRowsIsNoDisagreement() throws {
        let source = try model(files: [("tokenizer_config.json", #"{"pad_token": "[PAD]"}"#)])
        #expect(Inspection(of: source).inconsistencies.filter { $0.contains("largest id") } == [])
        let result = try source.vocabularyResized(
            VocabularyResize(
                .extended(VocabularyExtension(added: [.init(id: 14, content: "<n>", isSpecial: true)]))))
        #expect(result.rows == (13, 15))
        let used = try model(files: [("tokenizer_config.json", #"{"eos_token": "[END]"}"#)])
        #expect(Inspection(of: used).inconsistencies.contains { $0.contains("largest id is 13") })
        #expect(
            message { _ = try used.vocabularyResized(special("<n>")) }.contains(
                "14 tokens, but the embedding only 13"))
    }

    @Test(arguments: [
        ("vocab.json", #"{"a": 0, "b": 9}"#, 10), ("added_tokens.json", #"{"<x>": 11}"#, 12),
        ("vocab.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", 10),
    ])
    func otherFilesCountWhereTokenizerJSONIsMissing(_ name: String, _ content: String, _ count: Int) throws {
        let source = try model(files: [(name, content)], main: nil)
        let refusal = message {
            _ = try source.vocabularyResized(VocabularyResize(.rows(count - 1), input: .mean))
        }
        #expect(refusal.contains("\(count - 1) rows are fewer than \(name) has tokens (\(count))"))
        let told = try #require(Inspection(of: source).tokenizer)
        #expect(
            told.file == name && told.size == count && told.problem?.contains("no tokenizer.json") == true)
        // A token's own row is the last that may go, and eos_token_id's.
        #expect(try source.vocabularyResized(VocabularyResize(.rows(13), input: .mean)).rows == (13, 13))
    }

    // MARK: What is as high as the vocabulary

    @Test(arguments: [
        "lm_head.bias", "cls.predictions.bias", "cls.predictions.decoder.bias", "decoder.bias",
        "vocab_projector.bias",
    ])
    func biasesFollow(_ name: String) throws {
        let source = try model(tensors: [(name, [Self.count])])
        let result = try source.vocabularyResized(special("<a>"))
        #expect(try #require(result.checkpoint[name]).floats().count == Self.count + 1)
    }

    @Test(arguments: [
        "head.weight", "model.layers.1.shared_head.head.weight", "model.layers.1.embed_tokens.weight",
    ])
    func tablesFollow(_ name: String) throws {
        let source = try model(tensors: [(name, [Self.count, Self.width])])
        let result = try source.vocabularyResized(special("<a>"))
        #expect(result.checkpoint[name]?.shape == [Self.count + 1, Self.width])
    }

    /// What stands beside a quantised embedding or head: MLX, GPTQ, AWQ, fp8, compressed-tensors, bitsandbytes.
    @Test(arguments: [
        "lm_head.scales", "lm_head.biases", "model.embed_tokens.scales", "model.embed_tokens.biases",
        "lm_head.qweight",
        "lm_head.qzeros", "lm_head.g_idx", "lm_head.weight_scale", "lm_head.weight_scale_inv",
        "lm_head.weight_packed",
        "lm_head.weight.absmax", "lm_head.weight.quant_state.bitsandbytes__nf4", "lm_head.SCB",
        "language_model.model.embed_tokens.weight_scale",
    ])
    func quantisedEndsAreRefused(_ name: String) throws {
        let source = try model(tensors: [(name, [4, 2])])
        let refusal = message { _ = try source.vocabularyResized(VocabularyResize(.rows(16), input: .mean)) }
        #expect(refusal.contains("\(name) shows that the embedding or the head is quantised"))
        #expect(!refusal.contains("--allow-disagreement"))
    }

    @Test func packedWeightsAreRefused() throws {
        var source = try model()
        source["lm_head.weight"] = try tensor("lm_head.weight", [Self.count, 2], .u32)
        #expect(message { _ = try source.vocabularyResized(special("<a>")) }.contains("lm_head.weight shows"))
    }

    @Test(arguments: [
        ("model.layers.0.mlp.gate.tid2eid", [13, 8]), ("final_logits_bias", [1, 13]), ("logit_scale", [13]),
        ("model.reverse_embedding", [3, 13]),
    ])
    func whatIsNotKnownIsRefused(_ name: String, _ shape: [Int]) throws {
        let source = try model(tensors: [(name, shape)])
        #expect(message { _ = try source.vocabularyResized(special("<a>")) }.contains("\(name) is \(shape)"))
        // Another size of the configuration explains the number.
        let explained = try model(settings: #", "hidden_size": 13"#, tensors: [(name, shape)])
        #expect(try explained.vocabularyResized(special("<a>")).checkpoint[name]?.shape == shape)
    }

    @Test(arguments: ["lm_head.qweight", "lm_head.weight_packed", "head.weight"])
    func aHeadOfAnotherNameIsThere(_ name: String) throws {
        var source = try model(
            settings: #", "tie_word_embeddings": false, "architectures": ["LlamaForCausalLM"]"#,
            tensors: [(name, [Self.count, 2])])
        source["lm_head.weight"] = nil
        #expect(Inspection(of: source).inconsistencies.filter { $0.contains("output head") } == [])
        source[name] = nil
        #expect(Inspection(of: source).inconsistencies.contains { $0.contains("there is no output head") })
    }
}
