import Formats
import Foundation
import OrderedCollections
import Surgery
import Testing

@Suite("Vocabularies of KerasHub presets")
struct PresetVocabularyTests {
    private func preset(_ name: String) throws -> Checkpoint {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try Checkpoint.open(
            tests.appendingPathComponent("FormatsTests/Fixtures/HDF5/presets/\(name)").path)
    }

    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"]) func growsAtBothEnds(name: String) throws {
        let source = try preset(name)
        let result = try source.vocabularyResized(VocabularyResize(.rows(35), input: .zero)).checkpoint
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
        let metadata = try #require(result.companions.first { $0.name == "metadata.json" })
        #expect(
            try JSON(parsing: metadata.bytes(), file: "")["parameter_count"]?.int == result.parameterCount)
    }
}
