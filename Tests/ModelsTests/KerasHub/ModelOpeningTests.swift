import Foundation
import OrderedCollections
import Testing

@testable import Formats
@testable import Models

@Suite("Opening models")
struct ModelOpeningTests {
    private func preset(_ name: String) throws -> Checkpoint {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try Checkpoint.open(tests.appending(path: "FormatsTests/Fixtures/HDF5/presets/\(name)").path)
    }

    /// A preset that nothing is done to is written as it was, every tensor being a plain copy.
    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"]) func comesBackAsItWas(name: String) throws {
        let source = try preset(name)
        let model = try source.asHuggingFace()
        #expect(model.configuration?.modelType != nil && model.tensors.keys != source.tensors.keys)
        let stored = try model.stored()
        #expect(Array(stored.tensors.keys) == Array(source.tensors.keys))
        for (name, tensor) in stored.tensors {
            guard case .leaf(let leaf) = tensor.node else {
                Issue.record("\(name) is \(tensor.node)")
                continue
            }
            #expect(leaf.name == name)
        }
        #expect(stored.format.structure == source.format.structure)
        #expect(stored.configuration == source.configuration)
        #expect(stored.auxiliaryFiles.map(\.name) == source.auxiliaryFiles.map(\.name))
        #expect(stored.skippedFiles == source.skippedFiles && stored.metadata == source.metadata)
    }

    /// Reference models of the families that KerasHub has: put into its terms and back, every tensor is the same.
    @Test(arguments: [
        ("llama", "Llama"), ("llama-llama3", "Llama"), ("mistral", "Mistral"), ("qwen2", "Qwen"),
        ("qwen3", "Qwen3"), ("gemma", "Gemma"), ("phi3", "Phi3"), ("gpt2", "GPT2"), ("bloom", "Bloom"),
    ]) func everyFamilyGoesThereAndBack(name: String, backbone: String) throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let model = try Checkpoint.open(
            tests.appending(path: "TrainerTests/Fixtures/golden/\(name)").path)
        let preset = try model.converted(to: .hdf5)
        #expect(preset.configuration?["class_name"]?.string == backbone + "Backbone")
        let back = try preset.asHuggingFace()
        #expect(back.configuration?.serialized() == model.configuration?.serialized())
        for (name, tensor) in back.tensors {
            let source = try #require(
                model.tensors[name] ?? model.tensors[String(name.drop { $0 != "." }.dropFirst())])
            #expect(try tensor.firstDifference(from: source) == nil, "\(name)")
        }
        #expect(back.tensors.keys.allSatisfy { !$0.contains("/") } && back.tensors.count > 10)
    }

    /// The tables of both libraries fit together: each of KerasHub's variables has a row, and no two a name.
    @Test func tablesFitTogether() {
        #expect(KerasFamily.all.count == 10)
        for family in KerasFamily.all {
            let places = family.places(layers: 2)
            #expect(Set(places.map(\.name)).count == places.count, "\(family.keras.name)")
            #expect(
                Set(places.flatMap(\.paths)).count == places.flatMap(\.paths).count, "\(family.keras.name)")
        }
        // What a vocabulary is found by where the family is not known.
        let embeddings = Family.names(of: .embedding)
        #expect(
            Set(embeddings).isSuperset(of: [
                "embed_tokens.weight", "embed_in.weight", "wte.weight", "word_embeddings.weight",
                "tok_embeddings.weight",
            ]))
        let heads = Family.names(of: .head)
        #expect(
            Set(heads) == [
                "lm_head.weight", "embed_out.weight", "output.weight", "shared_head.head.weight",
            ] && heads[0] == "lm_head.weight")
    }

    /// Files that an operation changes, adds or takes away do so in the preset.
    @Test func otherFilesComeAlong() throws {
        var source = try preset("llama-bf16")
        for name in ["LICENSE", "NOTICE"] {
            source.auxiliaryFiles.append(AuxiliaryFile(name: name, content: .bytes([1])))
        }
        var model = try source.asHuggingFace()
        model.auxiliaryFiles.removeAll { $0.name == "NOTICE" }
        let index = try #require(model.auxiliaryFiles.firstIndex { $0.name == "LICENSE" })
        model.auxiliaryFiles[index].content = .bytes([2])
        model.auxiliaryFiles.append(AuxiliaryFile(name: "README.md", content: .bytes([3])))
        let stored = try model.stored()
        var names = source.auxiliaryFiles.map(\.name)
        names.removeAll { $0 == "NOTICE" }
        #expect(stored.auxiliaryFiles.map(\.name) == names + ["README.md"])
        #expect(try stored.auxiliaryFiles.first { $0.name == "LICENSE" }?.bytes() == [2])
    }

    /// A model that became what the class has no place for is not written.
    @Test func whatHasNoPlaceIsNotWritten() throws {
        var model = try preset("gpt2").asHuggingFace()
        model.tensors["transformer.extra.weight"] = model.tensors["transformer.ln_f.weight"]
        let error = #expect(throws: UserFacingError.self) { try CheckpointWriter().plan(model, to: "out") }
        #expect(error?.description.contains("transformer.extra.weight") == true && error?.fault == .input)
    }

    @Test func modelsOfOtherKindsStayWhatTheyAre() throws {
        let model = Checkpoint(path: "m", tensors: ["a": try .zeros(.f32, shape: [1])])
        guard case .safetensors = try model.asHuggingFace().format else {
            Issue.record("\(model.format)")
            return
        }
        #expect(throws: UserFacingError.nothingThere(path: "not/there")) {
            try Checkpoint.openModel("not/there")
        }
    }
}
