import Formats
import Foundation
import OrderedCollections
import TestSupport
import Testing

@testable import Surgery

@Suite("Adding an instruct model's difference")
struct RestorationTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func restoration(_ strength: Double? = nil, template: Restoration.Template? = nil) -> Restoration
    {
        Restoration(
            instruct: folder.path("instruct"), base: folder.path("base"), strength: strength,
            chatTemplate: template)
    }

    /// What a model becomes by plain loops.
    ///
    /// `layers` has for each layer the base's that it is a copy of, `rows` for each row of the vocabulary the base's, or nil for
    /// a new one; `zeroed` are the layers whose writers began as zeros.
    private func expected(
        _ model: Checkpoint, strength: Float = 1, layers: [Int], rows: [Int?], zeroed: Set<Int> = [],
        type: ElementType = .f32
    ) throws -> [String: [Float]] {
        let base = try RandomModel.numbers(Checkpoint.open(folder.path("base")))
        let instruct = try RandomModel.numbers(Checkpoint.open(folder.path("instruct")))
        var result = try RandomModel.numbers(model)
        for name in result.keys {
            var source = name
            var parts = name.split(separator: ".").map(String.init)
            if parts.count > 3, let layer = Int(parts[2]) {
                if zeroed.contains(layer), name.contains("o_proj") || name.contains("down_proj") { continue }
                parts[2] = String(layers[layer])
                source = parts.joined(separator: ".")
            }
            let isVocabulary = name.contains("embed") || name.contains("lm_head")
            for index in result[name]?.indices ?? 0..<0 {
                var place = index
                if isVocabulary {
                    guard let row = rows[index / RandomModel.hidden] else { continue }
                    place = row * RandomModel.hidden + index % RandomModel.hidden
                }
                guard let b = base[source]?[place], let i = instruct[source]?[place],
                    let w = result[name]?[index]
                else { continue }
                let sum = w + strength * (i - b)
                result[name]?[index] = type == .bf16 ? roundedToBF16(sum) : sum
            }
        }
        return result
    }

    private func expectProven(_ outcome: Outcome, equals expected: [String: [Float]]) throws {
        let written = try RandomModel.write(outcome.checkpoint, "restored", in: folder)
        #expect(try RandomModel.numbers(written) == expected)
        let proof = try verify(written)
        #expect(proof.isComplete, "\(proof.failures) \(proof.unproven)")
    }

    private let six: [Int?] = [0, 1, 2, 3, 4, 5]

    @Test(arguments: [ElementType.f32, .bf16], [1, 0.5, -0.25])
    func throughRepeatedLayers(type: ElementType, strength: Double) throws {
        let base = try RandomModel.write("base", seed: 1, type: type, in: folder)
        _ = try RandomModel.write("instruct", seed: 2, type: type, in: folder)
        let deep = try base.applying(LayerArrangement(plan: "0-2,1-3")).checkpoint
        let model = try RandomModel.write(deep, "deep", in: folder)
        let outcome = try model.applying(restoration(strength))
        try expectProven(
            outcome,
            equals: expected(
                model, strength: Float(strength), layers: [0, 1, 2, 1, 2, 3], rows: six, type: type))
        #expect(outcome.facts["not_mapped"] == [] && outcome.facts["without_place"] == [])
        #expect(outcome.facts["mapped_tensors"] == 27)
        #expect(
            outcome.checkpoint.operations.last?.parameters["instruct"] == .string(folder.path("instruct")))
    }

    /// The model between is gone when its healed one is given back what the instruct model knew.
    @Test func throughSeveralOperationsAndTraining() throws {
        var model = try RandomModel.write("base", seed: 3, in: folder)
        _ = try RandomModel.write("instruct", seed: 4, rows: 7, in: folder)
        model = try RandomModel.write(
            model.applying(LayerArrangement(plan: "0,1,1-3")).checkpoint, "deep", in: folder)
        model = try RandomModel.write(
            model.applying(Expansion(after: "3")).checkpoint, "expanded", in: folder)
        var change = VocabularyChange()
        (change.size, change.initialization) = (9, "zero")
        model = try RandomModel.write(model.applying(change).checkpoint, "wide", in: folder)
        model = try RandomModel.write(RandomModel.trained(model, seed: 5), "healed", in: folder)
        for name in ["deep", "expanded", "wide"] {
            try FileManager.default.removeItem(atPath: folder.path(name))
        }
        let outcome = try model.applying(restoration(0.5))
        try expectProven(
            outcome,
            equals: expected(
                model, strength: 0.5, layers: [0, 1, 1, 2, 2, 3], rows: six + [nil, nil, nil], zeroed: [4]))
        let zeroed: JSON = [
            [
                "tensor": "model.embed_tokens.weight", "reason": "trained from new rows, or another model's",
                "rows": [6, 8],
            ],
            [
                "tensor": "model.layers.4.self_attn.o_proj.weight",
                "reason": "trained from new rows, or another model's",
            ],
            [
                "tensor": "model.layers.4.mlp.down_proj.weight",
                "reason": "trained from new rows, or another model's",
            ],
            [
                "tensor": "lm_head.weight", "reason": "trained from new rows, or another model's",
                "rows": [6, 8],
            ],
        ]
        #expect(outcome.facts["not_mapped"] == zeroed)
        #expect(
            outcome.facts["without_place"] == [
                [
                    "tensor": "model.embed_tokens.weight", "reason": "the instruct model's alone",
                    "rows": [6, 6],
                ],
                ["tensor": "lm_head.weight", "reason": "the instruct model's alone", "rows": [6, 6]],
            ])
    }

    /// Scaled and noisy copies get as much of the difference as they have of the base.
    @Test func copiesThatAreNotWhole() throws {
        let base = try RandomModel.write("base", seed: 6, in: folder)
        _ = try RandomModel.write("instruct", seed: 7, in: folder)
        let deep = try base.applying(LayerArrangement(plan: "0-3,3:scale=0.5")).checkpoint
        let model = try RandomModel.write(deep, "deep", in: folder)
        let (b, i) = (
            try base["model.layers.3.self_attn.o_proj.weight"]?.floats() ?? [],
            try Checkpoint.open(folder.path("instruct"))["model.layers.3.self_attn.o_proj.weight"]?.floats()
                ?? []
        )
        let restored = try model.applying(restoration()).checkpoint
        let found = try restored["model.layers.4.self_attn.o_proj.weight"]?.floats() ?? []
        #expect(found.count == 16)
        for index in found.indices { #expect(found[index] == b[index] * 0.5 + (i[index] - b[index]) * 0.5) }
    }

    @Test func aTiedHeadAndLayersThatAreGone() throws {
        let base = try RandomModel.write("base", seed: 8, tied: true, in: folder)
        // Stored once more, as some do.
        var instruct = try RandomModel.write("first", seed: 9, tied: true, in: folder)
        instruct["lm_head.weight"] = instruct["model.embed_tokens.weight"]
        try RandomModel.write(instruct, "instruct", in: folder)
        let pruned = try base.applying(Pruning(to: 3, drop: "1")).checkpoint
        let model = try RandomModel.write(pruned, "pruned", in: folder)
        let outcome = try model.applying(restoration())
        try expectProven(outcome, equals: expected(model, layers: [0, 2, 3], rows: six))
        let gone = (outcome.facts["without_place"]?.array ?? []).compactMap { $0["tensor"]?.string }
        #expect(gone.count == 4 && gone.allSatisfy { $0.hasPrefix("model.layers.1.") })
        #expect(outcome.warnings.contains { $0.contains("stores its tied head (lm_head.weight) once more") })
    }

    /// In one pass with the surgery itself, and of a model that was only trained.
    @Test func withoutAModelBetween() throws {
        let base = try RandomModel.write("base", seed: 10, in: folder)
        _ = try RandomModel.write("instruct", seed: 11, in: folder)
        let deep = try base.applying(LayerArrangement(plan: "3,0-3")).checkpoint
        try expectProven(
            deep.applying(restoration()), equals: expected(deep, layers: [3, 0, 1, 2, 3], rows: six))
        let healed = try RandomModel.write(RandomModel.trained(base, seed: 12), "healed", in: folder)
        let outcome = try healed.applying(restoration())
        let wanted = try expected(healed, layers: [0, 1, 2, 3], rows: six)
        #expect(try RandomModel.numbers(outcome.checkpoint) == wanted)
    }

    /// A second difference goes where the first one went.
    @Test func twice() throws {
        let base = try RandomModel.write("base", seed: 13, in: folder)
        _ = try RandomModel.write("instruct", seed: 14, in: folder)
        let deep = try RandomModel.write(
            base.applying(LayerArrangement(plan: "0-3,3")).checkpoint, "deep", in: folder)
        let once = try RandomModel.write(deep.applying(restoration(0.5)).checkpoint, "once", in: folder)
        let outcome = try once.applying(restoration(0.5))
        try expectProven(
            outcome, equals: expected(once, strength: 0.5, layers: [0, 1, 2, 3, 3], rows: six))
    }

    // MARK: What is refused

    private func expectRefusal(_ model: Checkpoint, _ message: String, _ request: Restoration? = nil) {
        let error = #expect(throws: UserFacingError.self) { try model.applying(request ?? restoration()) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func refusesAModelOfAnotherBase() throws {
        let base = try RandomModel.write("base", seed: 20, in: folder)
        _ = try RandomModel.write("instruct", seed: 21, in: folder)
        expectRefusal(base, "has no surgery.json, which says where the base's layers and rows are")
        let deep = try RandomModel.write(
            base.applying(LayerArrangement(plan: "0-3,3")).checkpoint, "deep", in: folder)
        // One number of the base has changed.
        var other = try RandomModel.write("other", seed: 20, in: folder)
        other["model.norm.weight"] = try .stored(
            MemoryTensor(name: "model.norm.weight", shape: [4], floats: [1, 2, 3, 4]))
        try FileManager.default.removeItem(atPath: folder.path("base"))
        try RandomModel.write(other, "base", in: folder)
        expectRefusal(deep, "was not made of \(folder.path("base"))")
        expectRefusal(deep, "give a number other than 0", restoration(0))
    }

    @Test func refusesAnInstructModelOfAnotherShape() throws {
        let base = try RandomModel.write("base", seed: 22, in: folder)
        let deep = try RandomModel.write(
            base.applying(LayerArrangement(plan: "0-3,3")).checkpoint, "deep", in: folder)
        func instruct(_ change: (inout Checkpoint) throws -> Void) throws {
            try? FileManager.default.removeItem(atPath: folder.path("instruct"))
            try? FileManager.default.removeItem(atPath: folder.path("first"))
            var model = try RandomModel.write("first", seed: 23, in: folder)
            try change(&model)
            try RandomModel.write(model, "instruct", in: folder)
        }
        try instruct { $0["lm_head.weight"] = nil }
        expectRefusal(deep, "it has no tensor 'lm_head.weight'")
        try instruct { $0["score.weight"] = $0["model.norm.weight"] }
        expectRefusal(deep, "it has a tensor 'score.weight' besides")
        try instruct { $0["lm_head.weight"] = try $0["lm_head.weight"]?.rows(0..<5) }
        expectRefusal(deep, "its tensor 'lm_head.weight' is [5, 4], not [6, 4]")
        try instruct { $0.configuration?["model_type"] = "mistral" }
        expectRefusal(deep, "its config.json is of a mistral, not a llama")
        try instruct { $0.configuration?["quantization_config"] = ["quant_method": "fp8"] }
        expectRefusal(deep, "is quantised")
        try instruct { $0.configuration?["rope_theta"] = 1_000_000 }
        let outcome = try deep.applying(restoration())
        #expect(outcome.warnings.contains { $0.contains("in rope_theta, which numbers cannot carry over") })
    }

    // MARK: How the instruct model is talked to

    private func tokenizer(_ tokens: [String], added: [String] = ["<end>"]) -> String {
        let vocabulary = tokens.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        let list = added.compactMap { token in
            tokens.firstIndex(of: token).map {
                "{\"id\": \($0), \"content\": \"\(token)\", \"special\": true}"
            }
        }
        return """
            {"version": "1.0", "added_tokens": [\(list.joined(separator: ", "))], "pre_tokenizer": null,
             "model": {"type": "BPE", "vocab": {\(vocabulary)}, "merges": []}}
            """
    }

    /// Base, instruct model and a deeper one, whose files differ in what an instruct model has besides.
    private func chatModels(_ tokens: [String], used: String = "<turn>") throws -> Checkpoint {
        let names = ["a", "b", "c", "<end>", "<turn>", "d"]
        let added = ["<end>", "<turn>"]
        let settings = ", \"eos_token_id\": 3"
        let base = try RandomModel.write(
            "base", seed: 30,
            files: [
                "tokenizer.json": tokenizer(tokens, added: added),
                "tokenizer_config.json": #"{"eos_token": "<end>"}"#,
                "generation_config.json": #"{"eos_token_id": 3}"#,
            ], settings: settings, in: folder)
        _ = try RandomModel.write(
            "instruct", seed: 31,
            files: [
                "tokenizer.json": tokenizer(names, added: added),
                "tokenizer_config.json": #"{"eos_token": "<turn>", "chat_template": "{{m}}\#(used)"}"#,
                "generation_config.json": #"{"eos_token_id": [3, 4], "temperature": 0.7}"#,
            ], settings: ", \"eos_token_id\": 4", in: folder)
        return try RandomModel.write(
            base.applying(LayerArrangement(plan: "0-3,3")).checkpoint, "deep", in: folder)
    }

    private func file(_ name: String, _ model: Checkpoint) throws -> JSON? {
        try model.auxiliaryFiles.first { $0.name == name }.map {
            try JSON(parsing: $0.bytes(), file: name)
        }
    }

    @Test func theChatTemplateComesAlong() throws {
        let model = try chatModels(["a", "b", "c", "<end>", "<turn>", "d"])
        let outcome = try model.applying(restoration())
        let settings = try file("tokenizer_config.json", outcome.checkpoint)
        #expect(settings?["chat_template"] == "{{m}}<turn>" && settings?["eos_token"] == "<turn>")
        #expect(
            try file("generation_config.json", outcome.checkpoint)
                == ["eos_token_id": [3, 4], "temperature": 0.7])
        #expect(outcome.changes.map(\.description) == ["eos_token_id: 3 → 4"])
        #expect(outcome.facts["chat_template"] == ["taken": true, "missing_tokens": []])
        #expect(outcome.warnings == [])
        let own = try model.applying(restoration(template: .own))
        #expect(try file("tokenizer_config.json", own.checkpoint)?["chat_template"] == nil)
    }

    /// Its tokens may have other ids in the model by now.
    @Test func idsOfTheTemplatesTokensFollow() throws {
        let names = ["a", "b", "c", "<end>", "<turn>", "d"]
        var model = try chatModels(names)
        try folder.makeFolder("other")
        try folder.write(
            "other/tokenizer.json",
            tokenizer(["<turn>", "e", "d", "a", "b", "c", "<end>"], added: ["<end>", "<turn>"]))
        var change = VocabularyChange()
        (change.tokenizer, change.initialization) = (folder.path("other"), "zero")
        model = try RandomModel.write(model.applying(change).checkpoint, "moved", in: folder)
        let outcome = try model.applying(restoration())
        #expect(
            try file("generation_config.json", outcome.checkpoint)
                == ["eos_token_id": [6, 0], "temperature": 0.7])
        #expect(outcome.changes.map(\.description) == ["eos_token_id: 6 → 0"])
        try expectProven(
            outcome, equals: expected(model, layers: [0, 1, 2, 3, 3], rows: [4, nil, 5, 0, 1, 2, 3]))
        #expect(
            outcome.facts["not_mapped"]?[0] == [
                "tensor": "model.embed_tokens.weight", "reason": "new or zeroed", "rows": [1, 1],
            ])
    }

    @Test func refusesOtherTokens() throws {
        let model = try chatModels(["a", "b", "x", "<end>", "<turn>", "d"])
        expectRefusal(model, "token 2 is \"c\" there, and \"x\" here")
    }

    @Test func aTemplateWhoseTokensAreGoneStays() throws {
        var model = try chatModels(["a", "b", "c", "<end>", "<turn>", "d"])
        try folder.makeFolder("other")
        try folder.write("other/tokenizer.json", tokenizer(["a", "b", "c", "<end>", "d"]))
        var change = VocabularyChange()
        (change.tokenizer, change.initialization) = (folder.path("other"), "zero")
        model = try RandomModel.write(model.applying(change).checkpoint, "moved", in: folder)
        let outcome = try model.applying(restoration())
        #expect(outcome.facts["chat_template"] == ["taken": false, "missing_tokens": ["<turn>"]])
        #expect(outcome.warnings.contains { $0.contains("it needs <turn>, which the model's tokenizer") })
        #expect(try file("tokenizer_config.json", outcome.checkpoint)?["chat_template"] == nil)
    }
}
