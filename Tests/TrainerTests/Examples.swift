import Foundation
import TestSupport

/// The path of one of the project's examples.
func example(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Examples/\(name)")
        .standardized.path()
}

/// A folder with the configuration of a very small model, the example's tokenizer, and no weights.
func blankModel(in folder: TemporaryFolder, changes: [String: String] = [:]) throws {
    var settings = [
        "model_type": "\"mistral\"", "dtype": "\"bfloat16\"", "hidden_size": "32", "intermediate_size": "48",
        "num_hidden_layers": "2", "num_attention_heads": "2", "num_key_value_heads": "1", "head_dim": "16",
        "max_position_embeddings": "64", "rms_norm_eps": "1e-06", "rope_theta": "10000.0",
        "sliding_window": "24",
        "tie_word_embeddings": "false", "vocab_size": "1024", "eos_token_id": "2", "hidden_act": "\"silu\"",
    ]
    settings.merge(changes) { $1 }
    let body = settings.sorted { $0.key < $1.key }.map { "\"\($0)\": \($1)" }.joined(separator: ",\n")
    try folder.write("config.json", "{\(body)}")
    try folder.write(
        "tokenizer.json", Data(contentsOf: URL(filePath: example("blank/tokenizer.json"))))
}
