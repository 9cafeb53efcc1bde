internal import Formats
internal import Models

/// How a run begins where a surgery has copied layers.
public enum Seam: String, Codable, Sendable, CaseIterable {
    /// As the surgery left it.
    case plain
    /// What copied layers add to the residual stream grows from nothing to all of it.
    case ramp
}

/// The growth of what copied layers add to the residual stream, from nothing to all of it.
///
/// Their residual branches are multiplied by a number that rises evenly from 0 to 1. Where every layer of the source is there
/// once beside its copies, the run begins as the source; when the number is 1, nothing of it is left, so that the result is a
/// model like any other. It is the mask of Masked Structural Growth (<https://arxiv.org/abs/2305.02869>, section 3.2).
public struct SeamRamp: Codable, Sendable, Equatable {
    /// The layers, from 0.
    public var layers: [Int]
    /// After how many steps they add all of it, at least 1.
    public var steps: Int

    /// What they add after some steps, from 0 to 1.
    func share(after steps: Int) -> Float { min(1, Float(steps) / Float(self.steps)) }
}

extension SeamRamp {
    /// The ramp of a model.
    ///
    /// - Throws: ``UserFacingError`` where nothing tells which of its layers are copies, or a copy does nothing yet.
    init(of model: PretrainedModel, steps: Int) throws(UserFacingError) {
        let kinds = try ModelOrigins(of: model)?.layers ?? []
        let copies = kinds.indices.filter { kinds[$0] == .duplicate }
        guard !copies.isEmpty else {
            throw UserFacingError(
                .request,
                """
                \(model.checkpoint.path) has no copied layers that its \(Manifest.fileName) tells of, so there is nothing \
                that --seam ramp could let grow\(kinds.contains(.identity) ? "; layers of surgery expand begin as nothing" : "")
                """)
        }
        (layers, self.steps) = (copies, steps)
    }
}
