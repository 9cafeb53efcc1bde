import Formats
import Foundation
import OrderedCollections

/// A folder that goes away with the test, with a small model in it.
final class ModelFolder {
    /// The folder.
    let url: URL
    /// The model's own folder in it.
    var model: URL { url.appending(path: "base") }

    /// A Llama with a number of layers, each of whose numbers is different.
    ///
    /// - Parameters:
    ///   - layers: how many layers.
    ///   - settings: more of the configuration, after a comma.
    ///   - first: the first number of each tensor.
    /// - Throws: what the disk has against it.
    init(layers: Int = 4, settings: String = "", first: Float = 0.5) throws {
        url = FileManager.default.temporaryDirectory.appending(path: "surgery-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        let names = ["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"]
        let layerNames = (0..<layers).flatMap { layer in
            ["mlp.down_proj", "self_attn.o_proj"].map { "model.layers.\(layer).\($0).weight" }
        }
        for (index, name) in (names + layerNames).enumerated() {
            let shape = name.hasSuffix("norm.weight") ? [4] : [4, 4]
            let floats = (0..<shape.reduce(1, *)).map { $0 == 0 ? first : Float(index) + Float($0) / 1024 }
            tensors[name] = try .stored(MemoryTensor(name: name, shape: shape, floats: floats))
        }
        let text = """
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": \(layers),
             "hidden_size": 4, "vocab_size": 4, "rms_norm_eps": 1e-05, "torch_dtype": "float32"\(settings)}
            """
        let checkpoint = Checkpoint(
            tensors: tensors,
            configuration: try Configuration(parsing: Array(text.utf8), file: "config.json"),
            auxiliaryFiles: [AuxiliaryFile(name: "README.md", content: .bytes(Array("# base\n".utf8)))])
        try CheckpointWriter().write(checkpoint, to: model.path)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The names of what lies in the folder.
    func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: url.path).sorted()
    }

    /// Every file of the model with its bytes.
    func contents(of name: String = "base") throws -> [String: Data] {
        let folder = url.appending(path: name)
        var contents: [String: Data] = [:]
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            contents[file] = try Data(contentsOf: folder.appending(path: file))
        }
        return contents
    }

    /// The bytes of each tensor of a model in the folder.
    func tensors(of name: String) throws -> [String: [UInt8]] {
        let checkpoint = try Checkpoint.open(url.appending(path: name).path)
        var result: [String: [UInt8]] = [:]
        for (name, tensor) in checkpoint.tensors {
            var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
            var span = bytes.mutableSpan
            var room = unsafe span.mutableBytes
            try tensor.read(0..<tensor.byteCount, into: &room)
            result[name] = bytes
        }
        return result
    }
}
