import Formats
import Models
import TestSupport
import Testing

@testable import Trainer

/// Another base of the rotary embedding, in the configurations of the golden models and older ones.
@Suite struct RotaryBaseTests {
    private func configuration(of name: String) throws -> Configuration {
        try #require(GoldenModel(name: name).checkpoint().configuration)
    }

    private func configuration(_ text: String) throws -> Configuration {
        try Configuration(parsing: Array(text.utf8), file: "config.json")
    }

    private static let llama = """
        "model_type": "llama", "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, \
        "intermediate_size": 12
        """

    /// The base alone changes: in the file, where it stood, and in every layer that turns.
    @Test(arguments: [
        "llama", "code-llama", "llama-linear", "llama-llama3", "llama-yarn", "mistral", "mixtral", "qwen2",
        "qwen3-moe",
        "gemma", "gemma2", "gpt-neox", "phi3", "falcon-rotary", "olmo2", "smollm3", "cohere2", "granite",
        "stablelm",
        "starcoder2", "gpt-oss", "dots", "llava", "mistral3",
    ]) func theBaseAloneChanges(name: String) throws {
        let before = try configuration(of: name)
        let after = try before.withRotaryBase(2_345_678, path: name)
        var (expected, parts) = (before, ["rope_parameters"])
        if before["text_config"] != nil { parts = ["text_config", "rope_parameters"] }
        if parts.count == 2 {
            expected["text_config"]?["rope_parameters"]?["rope_theta"] = 2_345_678.0
        } else {
            expected["rope_parameters"]?["rope_theta"] = 2_345_678.0
        }
        #expect(after == expected && after != before)
        var architecture = try DescribedModel(before, path: name).architecture
        for index in architecture.layers.indices {
            architecture.layers[index].attention.rotary?.theta = 2_345_678
        }
        #expect(try DescribedModel(after, path: name).architecture == architecture)
        #expect(architecture.layers.contains { $0.attention.rotary != nil })
        #expect(try after.withRotaryBase(2_345_678, path: name) == after)
    }

    @Test(arguments: [
        (#""rope_theta": 10000.0"#, #""rope_theta":1000000.0"#),
        (#""rope_theta": null"#, #""rope_theta":1000000.0"#),
        (
            #""rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}"#,
            #""rope_theta":1000000.0,"rope_scaling":{"type":"linear","factor":2.0}"#
        ),
        // In both where both have it, so that every reader finds it.
        (
            #""rope_theta": 5e5, "rope_parameters": {"rope_theta": 5e5}"#,
            #""rope_theta":1000000.0,"rope_parameters":{"rope_theta":1000000.0}"#
        ),
        (#""rope_theta": 5e5, "rope_parameters": {}"#, #""rope_theta":1000000.0,"rope_parameters":{}"#),
        (#""rope_parameters": {}"#, #""rope_parameters":{"rope_theta":1000000.0}"#),
        (#""use_cache": true"#, #""use_cache":true,"rope_theta":1000000.0"#),
    ]) func writesWhereItStands(settings: String, expected: String) throws {
        let old = try configuration("{\(Self.llama), \(settings)}")
        let text = String(decoding: try old.withRotaryBase(1e6, path: "m").serialized(), as: UTF8.self)
        #expect(text.filter { $0 != " " && $0 != "\n" }.hasSuffix(expected + "}"), "\(text)")
    }

    @Test func anOldNeoXCallsItOtherwise() throws {
        let sizes = Self.llama.replacing(#""llama""#, with: #""gpt_neox""#)
        for settings in [#""rotary_emb_base": 10000, "rotary_pct": 0.5"#, #""rotary_pct": 0.5"#] {
            let new = try configuration("{\(sizes), \(settings)}").withRotaryBase(1e5, path: "m")
            #expect(new["rotary_emb_base"] == 100_000.0 && new["rope_theta"] == nil)
            #expect(try DescribedModel(new, path: "m").architecture.layers[0].attention.rotary?.theta == 1e5)
        }
    }

    @Test(arguments: [
        ("gemma3-text", "kinds of layers"), ("gemma3", "kinds of layers"), ("olmo3", "kinds of layers"),
        ("phi3-longrope", "LongRoPE"), ("llama-dynamic", "grows with the length"),
        ("falcon-alibi", "no layer of this model turns"), ("bloom", "no layer of this model turns"),
        ("gpt2", "no layer of this model turns"),
    ]) func refusesByName(name: String, words: String) throws {
        let configuration = try configuration(of: name)
        let error = #expect(throws: UserFacingError.self) {
            try configuration.withRotaryBase(1e6, path: name)
        }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("\(name): rope_theta can't become 1000000.0") == true)
    }

    @Test(arguments: [
        (#""rope_scaling": {"type": "yarn", "factor": 4.0}"#, 1e6, "original_max_position_embeddings"),
        (#""rope_theta": 1e4"#, 1, "above 1"), (#""rope_theta": 1e4"#, .infinity, "above 1"),
    ]) func refusesWhatIsOpen(settings: String, theta: Double, words: String) throws {
        let configuration = try configuration("{\(Self.llama), \(settings)}")
        let error = #expect(throws: UserFacingError.self) {
            try configuration.withRotaryBase(theta, path: "m")
        }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    /// Kinds of layers whose settings are the same are still two places, of which neither is `rope_parameters` itself.
    @Test func twoPlacesAreTwoBases() throws {
        var configuration = try configuration(of: "olmo3")
        let kind: JSON = ["rope_type": "default", "rope_theta": 500_000.0]
        configuration["rope_parameters"] = ["full_attention": kind, "sliding_attention": kind]
        let error = #expect(throws: UserFacingError.self) {
            try configuration.withRotaryBase(1e6, path: "m")
        }
        #expect(error?.message.contains("more than one base") == true, "\(error?.message ?? "")")
    }
}
