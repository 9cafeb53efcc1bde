import Formats
import OrderedCollections
import Surgery

/// Small models made in memory, whose tensors are known by what they hold.
enum MemoryModels {
    /// A configuration from its text.
    static func configuration(_ text: String) throws -> Configuration {
        try Configuration(parsing: Array(text.utf8), file: "config.json")
    }

    /// A model of these tensors, each of which holds its own name.
    static func checkpoint(_ names: [String], configuration text: String? = nil) throws -> Checkpoint {
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for name in names {
            let bytes = Array(name.utf8)
            tensors[name] = try .stored(
                MemoryTensor(name: name, type: .u8, shape: [bytes.count], bytes: bytes))
        }
        var checkpoint = Checkpoint(path: "model", tensors: tensors)
        if let text { checkpoint.configuration = try configuration(text) }
        return checkpoint
    }

    /// A model with a number of layers alike, under Llama's names.
    static func layers(
        _ count: Int, prefix: String = "model.layers.", configuration text: String? = nil
    ) throws -> Checkpoint {
        let layers: [String] = (0..<count).flatMap { layer in
            ["a.weight", "b.weight"].map { "\(prefix)\(layer).\($0)" }
        }
        return try checkpoint(["model.embed.weight"] + layers + ["model.norm.weight"], configuration: text)
    }

    /// The names that a model's tensors hold: what they were called in the model they come from.
    static func contents(_ checkpoint: Checkpoint) throws -> [String: String] {
        var contents: [String: String] = [:]
        for (name, tensor) in checkpoint.tensors {
            var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
            var span = bytes.mutableSpan
            var raw = unsafe span.mutableBytes
            try tensor.read(0..<tensor.byteCount, into: &raw)
            contents[name] = String(decoding: bytes, as: UTF8.self)
        }
        return contents
    }
}
