import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import Testing

@Suite("Vocabularies of KerasHub presets")
struct PresetVocabularyTests {
    private func preset(_ name: String) throws -> Checkpoint {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try Checkpoint.openModel(
            tests.appendingPathComponent("FormatsTests/Fixtures/HDF5/presets/\(name)").path)
    }

    /// Rows that are drawn at random are the same ones, too.
    @Test(arguments: ["llama-bf16", "gpt2"]) func grownFirstOrConvertedFirstIsTheSame(name: String) throws {
        let request = VocabularyResize(.rows(35), input: .meanCovariance)
        let one = try preset(name).vocabularyResized(request).checkpoint.stored().converted(to: .safetensors)
        let other = try preset(name).converted(to: .safetensors).vocabularyResized(request).checkpoint
        #expect(Array(one.tensors.keys) == Array(other.tensors.keys))
        for (name, tensor) in other.tensors {
            #expect(try one.tensors[name]?.firstDifference(from: tensor) == nil, "\(name)")
        }
        #expect(one.configuration?.json == other.configuration?.json)
    }

    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"]) func growsAtBothEnds(name: String) throws {
        let model = try preset(name)
        let source = try model.stored()
        let result = try model.vocabularyResized(VocabularyResize(.rows(35), input: .zero)).checkpoint
            .stored()
        for (name, tensor) in source.tensors {
            let made = try #require(result.tensors[name])
            let (old, new) = (try tensor.floats(), try made.floats())
            switch name {
            case "layers/reversible_embedding/vars/0":
                #expect(made.shape == [35, 8] && Array(new[..<(29 * 8)]) == old)
                #expect(new[(29 * 8)...].allSatisfy { $0 == 0 })
            case "layers/reversible_embedding/vars/1":
                #expect(made.shape == [8, 35])
                for row in 0..<8 {
                    #expect(new[row * 35..<row * 35 + 29] == old[row * 29..<row * 29 + 29])
                    #expect(new[row * 35 + 29..<row * 35 + 35].allSatisfy { $0 == 0 })
                }
            default: #expect(made.shape == tensor.shape && new == old)
            }
        }
        #expect(result.configuration?["config"]?["vocabulary_size"]?.int == 35)
        #expect(result.configuration?["vocab_size"] == nil)
        let metadata = try #require(result.auxiliaryFiles.first { $0.name == "metadata.json" })
        #expect(
            try JSON(parsing: metadata.bytes(), file: "")["parameter_count"]?.int == result.parameterCount)
    }
}
