import Formats
import Models
import OrderedCollections
import Surgery
import Testing

@Suite("Inspection")
struct InspectionTests {
    /// A Llama of 2 layers, 8 wide, 4 heads of 2, 2 key-value heads, a feed-forward of 12, 16 tokens.
    private func model(_ settings: String = "", without: String = "", tokens: Int = 16) throws -> Checkpoint {
        var tensors: OrderedDictionary<String, TensorExpression> = [
            "lm_head.weight": try .zeros(.bf16, shape: [16, 8]),
            "model.embed_tokens.weight": try .zeros(.bf16, shape: [16, 8]),
            "model.norm.weight": try .zeros(.f32, shape: [8]),
        ]
        let shapes = [
            "self_attn.q_proj": [8, 8], "self_attn.k_proj": [4, 8], "self_attn.v_proj": [4, 8],
            "self_attn.o_proj": [8, 8], "mlp.gate_proj": [12, 8], "mlp.up_proj": [12, 8],
            "mlp.down_proj": [8, 12],
        ]
        for layer in 0..<2 {
            for (name, shape) in shapes {
                tensors["model.layers.\(layer).\(name).weight"] = try .zeros(.bf16, shape: shape)
            }
        }
        tensors[without] = nil
        var checkpoint = Checkpoint(path: "model", tensors: tensors)
        var configuration = try MemoryModels.configuration(
            """
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8,
             "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 12, "vocab_size": 16,
             "tie_word_embeddings": false}
            """)
        if !settings.isEmpty {
            let changed = try JSON(parsing: Array("{\(settings)}".utf8), file: "change")
            for (key, value) in changed.object ?? JSONObject() { configuration[key] = value }
        }
        checkpoint.configuration = configuration
        let vocabulary = (0..<tokens).map { "\"\(UnicodeScalar(UInt8(65 + $0)))\": \($0)" }.joined(
            separator: ", ")
        let tokenizer = """
            {"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "ByteLevel",
             "add_prefix_space": false, "trim_offsets": true, "use_regex": true}, "post_processor": null,
             "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {\(vocabulary)}, "merges": []}}
            """
        checkpoint.auxiliaryFiles = [
            AuxiliaryFile(name: "tokenizer.json", content: .bytes(Array(tokenizer.utf8)))
        ]
        return checkpoint
    }

    /// A head that config.json takes for the embedding is told of where it has numbers of its own.
    @Test func aHeadOfItsOwnIsNoted() throws {
        var model = try model("\"tie_word_embeddings\": true")
        #expect(Inspection(of: model).notes == [])
        model.tensors["lm_head.weight"] = try .stored(
            MemoryTensor(
                name: "head", type: .bf16, shape: [16, 8], bytes: [UInt8](repeating: 0x3F, count: 256)))
        let inspection = Inspection(of: model)
        #expect(inspection.inconsistencies == [] && inspection.notes.count == 1)
        #expect(inspection.notes.first?.contains("a head of its own (lm_head.weight)") == true)
        model.configuration?["tie_word_embeddings"] = false
        #expect(Inspection(of: model).notes == [])
    }

    /// The norm of a projector in a model of more than text is as wide as its images are.
    @Test func normsOfOtherPartsAreTheirOwn() throws {
        var model = try model()
        model.tensors["multi_modal_projector.norm.weight"] = try .zeros(.f32, shape: [3])
        #expect(Inspection(of: model).inconsistencies == [])
        model.tensors["model.norm.weight"] = try .zeros(.f32, shape: [3])
        #expect(Inspection(of: model).inconsistencies.count == 1)
    }

    @Test func tellsWhatAModelIs() throws {
        let inspection = Inspection(of: try model())
        #expect(inspection.inconsistencies == [])
        #expect(inspection.family == "Llama" && inspection.modelType == "llama")
        #expect(inspection.layers?.count == 2 && inspection.layers?.names.prefix == "model.layers.")
        #expect(inspection.parameterCount == 2 * 128 + 8 + 2 * (2 * 64 + 2 * 32 + 3 * 96))
        #expect(inspection.tensorCount == 17)
        #expect(inspection.types.map(\.type) == [.bf16, .f32])
        #expect(inspection.types[1].tensors == 1 && inspection.types[1].parameters == 8)
        #expect(inspection.types[1].bytes == 32)
        #expect(inspection.tokenizer?.size == 16)
    }

    @Test(arguments: [
        (#""vocab_size": 17"#, "config.json asks for [17, 8] (vocab_size 17, hidden size 8)"),
        (#""hidden_size": 16"#, "config.json asks for [16, 16]"),
        (#""num_attention_heads": 2, "head_dim": 8"#, "(2 heads of 8, hidden size 8)"),
        (#""head_dim": 4"#, "(4 heads of 4, hidden size 8)"),
        (#""num_key_value_heads": 4"#, "(4 key-value heads of 2, hidden size 8)"),
        (#""intermediate_size": 13"#, "is [12, 8], and 1 others like it, but config.json asks for [13, 8]"),
        (
            #""num_hidden_layers": 3"#,
            "config.json says num_hidden_layers is 3, but the tensors have 2 layers"
        ),
    ])
    func tellsWhatDisagrees(settings: String, message: String) throws {
        let inconsistencies = Inspection(of: try model(settings)).inconsistencies
        #expect(inconsistencies.contains { $0.contains(message) }, "\(inconsistencies)")
    }

    @Test func tellsThatTheHeadIsMissing() throws {
        let inconsistencies = Inspection(of: try model(without: "lm_head.weight")).inconsistencies
        #expect(inconsistencies.count == 1 && inconsistencies[0].contains("tie_word_embeddings is false"))
        #expect(
            Inspection(of: try model(#""tie_word_embeddings": true"#, without: "lm_head.weight"))
                .inconsistencies == [])
    }

    @Test func tellsThatTheTokenizerIsTooLarge() throws {
        let inconsistencies = Inspection(of: try model(tokens: 18)).inconsistencies
        #expect(inconsistencies.count == 1)
        #expect(inconsistencies[0].contains("largest id is 17, but the vocabulary has 16 rows"))
    }

    @Test func aBareFileHasNothingToDisagreeWith() throws {
        let inspection = Inspection(of: try MemoryModels.checkpoint(["w", "b"]))
        #expect(inspection.inconsistencies == [] && inspection.layers == nil && !inspection.hasConfiguration)
    }

    /// Names that transformers does not find are told, with what has put the words there.
    @Test(arguments: [
        ("_orig_mod.", "torch.compile"), ("module.", "DataParallel"), ("base_model.model.", "peft"),
    ])
    func wordsOfWrappersAreTold(word: String, program: String) throws {
        var source = try model()
        source.tensors = OrderedDictionary(
            uniqueKeysWithValues: source.tensors.map { (word + $0.key, $0.value) })
        let told = Inspection(of: source).inconsistencies
        #expect(told.first?.contains("have \(word) in them, which \(program) puts there") == true)
        #expect(throws: UserFacingError.self) { try source.checkAgreement() }
    }

    @Test func wordsInsideNamesAreTold() throws {
        var source = try model()
        source["model.layers.0._checkpoint_wrapped_module.mlp.x"] = try .zeros(.f32, shape: [1])
        #expect(
            Inspection(of: source).inconsistencies.first?.hasPrefix(
                "1 tensor names, such as model.layers.0._ch") == true)
        var other = try model()
        other["module.x"] = try .zeros(.f32, shape: [1])
        #expect(Inspection(of: other).inconsistencies.isEmpty)
    }
}
