import Formats
import Models
import Surgery
import Testing

@testable import Trainer

/// New layers that compute nothing: of every family's model the logits stay what they are, bit for bit.
@Suite struct ExpansionTests {
    /// Families in which no layer can do nothing, or whose layers can't be told apart any more.
    private static let refused = [
        "bloom-residual": "a norm stands in the residual stream itself",
        "gpt2-scaled": "scale_attn_by_inverse_layer_idx",
    ]

    @Test(arguments: GoldenModel.all) func keepsTheLogits(_ golden: GoldenModel) throws {
        let source = try golden.checkpoint()
        let count = try source.layers().count
        let request = Expansion(after: "\((0..<count).map(String.init).joined(separator: ","))")
        if let reason = Self.refused[golden.name] {
            let error = #expect(throws: UserFacingError.self) { try source.applying(request) }
            #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
            return
        }
        let result = try source.applying(request).checkpoint
        #expect(try result.layers().count == 2 * count)
        let rows = try golden.rows()
        let (before, after) = (try logits(of: source, rows), try logits(of: result, rows))
        #expect(before == after && before.contains { $0 != 0 })
    }

    /// A layer that adds to what its norm has made is what ``Family/noIdentity`` is about, and nothing else is.
    @Test(arguments: GoldenModel.all) func theFamilySaysWhatTheArchitectureIs(_ golden: GoldenModel) throws {
        let model = try golden.pretrained()
        let configuration = try #require(model.checkpoint.configuration)
        let named =
            configuration.family?.noIdentity.map { configuration.languageModel[$0.key] == $0.value } ?? false
        #expect(named == model.architecture.layers.contains(where: \.addsToNormed))
    }

    private func logits(of checkpoint: Checkpoint, _ rows: TokenDataset) throws -> [Float] {
        let engine = try CPUEngine(threads: 2)
        let transformer = try PretrainedModel(checkpoint).transformer(for: rows, nil, on: engine)
        var logits: [Float] = []
        _ = transformer.loss(rows.rows(0..<rows.count)) { _, block in logits += values(block, on: engine) }
        return logits
    }
}
