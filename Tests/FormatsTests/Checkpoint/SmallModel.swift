import TestSupport

@testable import Formats

/// A tensor for a file made by hand.
struct SmallTensor {
    let name: String
    let type: ElementType
    let shape: [Int]
    let bytes: [UInt8]

    /// A tensor filled with bytes that follow from its name, so that no two are alike.
    init(_ name: String, _ type: ElementType, _ shape: [Int]) {
        self.name = name
        self.type = type
        self.shape = shape
        var state = name.utf8.reduce(UInt64(1469)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        bytes = (0..<(type.byteCount(shape: shape) ?? 0)).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    init(_ name: String, floats: [Float], shape: [Int]) {
        self.name = name
        type = .f32
        self.shape = shape
        bytes = floats.flatMap { number in
            (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> ($0 * 8)) }
        }
    }
}

/// A safetensors file with these tensors, one behind the other, written without the project's own writer.
func safetensors(_ tensors: [SmallTensor]) -> [UInt8] {
    var entries = ["\"__metadata__\":{\"format\":\"pt\"}"]
    var offset = 0
    for tensor in tensors {
        let end = offset + tensor.bytes.count
        entries.append(
            "\"\(tensor.name)\":{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":\(tensor.shape),"
                + "\"data_offsets\":[\(offset),\(end)]}")
        offset = end
    }
    return safetensors(header: "{\(entries.joined(separator: ","))}", data: tensors.flatMap(\.bytes))
}

/// A safetensors file with this header and data, whatever they are.
func safetensors(header: String, data: [UInt8] = []) -> [UInt8] {
    let json = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: json.count >> ($0 * 8)) } + json + data
}

/// A model in two shards with everything that a folder may hold beside them.
struct SmallModel {
    static let first = [
        SmallTensor("embed", .bf16, [10, 4]), SmallTensor("layers.0.a", .bf16, [4, 4]),
        SmallTensor("layers.0.b", .bf16, [3, 4]),
    ]
    static let second = [SmallTensor("layers.1.a", .bf16, [4, 4]), SmallTensor("norm", .f32, [4])]
    static let configuration = """
        {
          "architectures": ["LlamaForCausalLM"],
          "model_type": "llama",
          "rms_norm_eps": 1e-05,
          "torch_dtype": "bfloat16",
          "num_hidden_layers": 2
        }

        """

    static func write(into folder: TemporaryFolder, at name: String = "base") throws {
        try folder.makeFolder(name)
        try folder.write("\(name)/model-00001-of-00002.safetensors", safetensors(first))
        try folder.write("\(name)/model-00002-of-00002.safetensors", safetensors(second))
        try folder.write("\(name)/model.safetensors.index.json", index([first, second]))
        try folder.write("\(name)/config.json", configuration)
        try folder.write("\(name)/tokenizer.json", "{}")
        try folder.write("\(name)/LICENSE", "free")
        try folder.write("\(name)/pytorch_model.bin", "old")
        try folder.write("\(name)/.gitattributes", "")
        try folder.makeFolder("\(name)/onnx")
    }

    static func index(_ shards: [[SmallTensor]]) -> String {
        let entries = shards.enumerated().flatMap { place, tensors in
            tensors.map { "\"\($0.name)\": \"model-0000\(place + 1)-of-0000\(shards.count).safetensors\"" }
        }
        return "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\(entries.joined(separator: ", "))}}"
    }
}
