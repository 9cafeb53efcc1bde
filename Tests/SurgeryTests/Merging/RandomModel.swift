import Formats
import Models
import OrderedCollections
import TestSupport

@testable import Surgery

/// Small Llamas with random numbers, on disk, and plain loops over what is in them.
struct RandomModel {
    static let (hidden, rows) = (4, 6)

    /// The tensors of a model with so many layers, by their names, with their shapes.
    static func shapes(layers: Int, rows: Int = rows, tied: Bool = false) -> [(name: String, shape: [Int])] {
        var shapes: [(String, [Int])] = [("model.embed_tokens.weight", [rows, hidden])]
        for layer in 0..<layers {
            for (name, shape) in [
                ("input_layernorm", [hidden]), ("self_attn.q_proj", [hidden, hidden]),
                ("self_attn.o_proj", [hidden, hidden]), ("mlp.down_proj", [hidden, 8]),
            ] {
                shapes.append(("model.layers.\(layer).\(name).weight", shape))
            }
        }
        shapes.append(("model.norm.weight", [hidden]))
        if !tied { shapes.append(("lm_head.weight", [rows, hidden])) }
        return shapes
    }

    /// Writes a model, and opens it.
    static func write(
        _ name: String, seed: UInt64, layers: Int = 4, rows: Int = rows, type: ElementType = .f32,
        tied: Bool = false, files: [String: String] = [:], settings: String = "", in folder: TemporaryFolder
    ) throws -> Checkpoint {
        var numbers = Numbers(seed: seed)
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for (name, shape) in shapes(layers: layers, rows: rows, tied: tied) {
            let floats = numbers.next(shape.reduce(1, *))
            tensors[name] = try .stored(MemoryTensor(name: name, shape: shape, floats: floats)).cast(to: type)
        }
        let text = """
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": \(layers),
             "hidden_size": 4, "intermediate_size": 8, "vocab_size": \(rows), "tie_word_embeddings": \(tied)\(settings)}
            """
        let checkpoint = Checkpoint(
            tensors: tensors, configuration: try MemoryModels.configuration(text),
            auxiliaryFiles: files.sorted { $0.key < $1.key }.map {
                AuxiliaryFile(name: $0.key, content: .bytes(Array($0.value.utf8)))
            })
        return try write(checkpoint, name, in: folder)
    }

    /// Writes a model, and opens what was written.
    @discardableResult
    static func write(
        _ checkpoint: Checkpoint, _ name: String, in folder: TemporaryFolder
    ) throws -> Checkpoint {
        try CheckpointWriter().write(checkpoint, to: folder.path(name))
        return try Checkpoint.openModel(folder.path(name))
    }

    /// A model as training leaves it: other numbers, and what each tensor was.
    static func trained(_ model: Checkpoint, seed: UInt64) throws -> Checkpoint {
        var numbers = Numbers(seed: seed)
        var result = model
        for (name, tensor) in model.tensors {
            let floats = zip(try tensor.floats(), numbers.next(tensor.elementCount)).map { $0 + $1 / 8 }
            let bytes = floats.flatMap { value in unsafe withUnsafeBytes(of: value) { unsafe Array($0) } }
            result.tensors[name] = try .stored(
                MemoryTensor(name: name, type: .f32, shape: tensor.shape, beginning: tensor) {
                    (part, destination) throws(UserFacingError) in
                    for (place, byte) in bytes[part].enumerated() {
                        destination.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
                    }
                }
            ).cast(to: tensor.type)
        }
        result.operations.append(Manifest.Operation(name: "heal", parameters: JSONObject()))
        return result
    }

    /// All numbers of a model by tensor.
    static func numbers(_ model: Checkpoint) throws -> [String: [Float]] {
        var result: [String: [Float]] = [:]
        for (name, tensor) in model.tensors { result[name] = try tensor.floats() }
        return result
    }
}

/// Numbers from −1 to 1 that a seed decides.
struct Numbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next(_ count: Int) -> [Float] {
        (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
        }
    }
}

/// A number of 32 bits rounded to the nearest of bfloat16, ties to even.
func roundedToBF16(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
}
