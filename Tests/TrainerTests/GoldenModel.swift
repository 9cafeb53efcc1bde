import Foundation
import Formats
import OrderedCollections
import Testing

@testable import Trainer

/// A small random model with what PyTorch makes of it: see `Fixtures/README.md`.
struct GoldenModel: Sendable, CustomTestStringConvertible {
    var name: String
    var testDescription: String { name }

    static let all = ["llama", "code-llama", "mistral"].map(GoldenModel.init)

    var folder: String { get throws { try fixture("golden/\(name)") } }

    func pretrained() throws -> PretrainedModel { try PretrainedModel.open(folder) }

    func reference() throws -> OrderedDictionary<String, TensorExpression> {
        try Checkpoint.open(folder + "/golden.safetensors").tensors
    }

    func rows() throws -> TokenRows {
        try TokenRows(path: folder + "/golden.safetensors", rows: pretrained().configuration.vocabularySize)
    }

    /// Five steps of AdamW on the rows, as PyTorch took them.
    func training() throws -> Training {
        try JSONDecoder().decode(Training.self, from: Data(contentsOf: URL(filePath: folder + "/train.json")))
    }

    struct Training: Decodable {
        var hyperParameters: [String: Value]
        var losses: [Double]
        var gradNorms: [Double]
        var lossAfterFiveSteps: Double

        enum CodingKeys: String, CodingKey {
            case hyperParameters = "hyper_parameters"
            case losses
            case gradNorms = "grad_norms_before_clipping"
            case lossAfterFiveSteps = "loss_after_five_steps"
        }

        /// A number, or text that is passed over.
        struct Value: Decodable {
            var number: Double?
            init(from decoder: any Decoder) throws {
                number = try? decoder.singleValueContainer().decode(Double.self)
            }
        }

        var settings: AdamWSettings {
            func number(_ key: String) -> Double { hyperParameters[key]?.number ?? .nan }
            return AdamWSettings(
                rate: number("lr"), embeddingScale: number("embedding_lr_scale"), beta1: number("beta1"),
                beta2: number("beta2"), epsilon: number("eps"), weightDecay: number("weight_decay"),
                clip: number("clip_grad_norm"))
        }
    }
}

/// The path of a fixture.
func fixture(_ name: String) throws -> String {
    try #require(Bundle.module.resourceURL).appending(path: "Fixtures/\(name)").path()
}

/// A buffer's values.
func values<Device: Engine>(_ buffer: Device.Buffer, on engine: Device) -> [Float] {
    var values = [Float](repeating: .nan, count: buffer.count)
    var span = values.mutableSpan
    engine.download(buffer, to: &span)
    return values
}

/// Values of the processors' engine, in float32.
func unpacked(_ stored: Stored<CPUBuffer>) -> [Float] {
    var values = [Float](repeating: .nan, count: stored.count)
    unsafe values.withUnsafeMutableBufferPointer { buffer in
        guard let memory = buffer.baseAddress else { return }
        unsafe stored.unpack(0..<stored.count, into: memory)
    }
    return values
}

/// The largest difference between two equally long lists.
func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    precondition(a.count == b.count && !a.isEmpty)
    return zip(a, b).reduce(0) { $1.0.isFinite && $1.1.isFinite ? max($0, abs($1.0 - $1.1)) : .infinity }
}
