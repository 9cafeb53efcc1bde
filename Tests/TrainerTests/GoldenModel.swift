import Foundation
import Formats
import Models
import OrderedCollections
import Testing

@testable import Trainer

/// A small random model with what PyTorch makes of it: see `Fixtures/README.md`.
struct GoldenModel: Sendable, CustomTestStringConvertible {
    var name: String
    var testDescription: String { name }

    /// Every folder of the fixtures; a test counts them.
    static let all: [GoldenModel] = {
        let folder = Bundle.module.resourceURL?.appending(path: "Fixtures/golden").path() ?? ""
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
            .map(GoldenModel.init)
    }()

    var folder: String { get throws { try fixture("golden/\(name)") } }

    /// Its weights and configuration alone: the reference results lie beside them under names of their own.
    func checkpoint() throws -> Checkpoint { try Checkpoint.open(folder) }

    func pretrained() throws -> PretrainedModel { try PretrainedModel(checkpoint()) }

    func reference() throws -> OrderedDictionary<String, TensorExpression> {
        try Checkpoint.open(folder + "/golden.safetensors").tensors
    }

    func rows() throws -> TokenDataset {
        try TokenDataset(
            path: folder + "/golden.safetensors", vocabularySize: pretrained().architecture.vocabularySize)
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

extension PretrainedModel {
    /// The model with its weights and memory for all rows; it is trained unless `recomputation` is nil.
    func transformer(
        for rows: TokenDataset, _ recomputation: Recomputation?, gradients: GradientPrecision = .f32,
        on engine: CPUEngine
    ) throws -> Transformer<CPUEngine> {
        let layout = try layout(training: recomputation == nil ? .none : .all, gradients: gradients)
        let plan = ActivationPlan(
            architecture, layout: layout, batch: rows.count, sequenceLength: rows.length,
            training: recomputation.map { ActivationPlan.Training(recomputation: $0) })
        let transformer = try Transformer(architecture, layout: layout, plan: plan, on: engine)
        try load(into: transformer)
        return transformer
    }
}
