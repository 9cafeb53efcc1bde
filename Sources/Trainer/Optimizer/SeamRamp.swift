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
    /// - Throws: ``UserFacingError`` where nothing tells which of its layers are copies, a copy does nothing yet, or was trained
    ///   since it was made.
    init(of model: PretrainedModel, steps: Int) throws(UserFacingError) {
        let origins = try ModelOrigins(of: model)
        let kinds = origins?.layers ?? []
        let copies = kinds.indices.filter { kinds[$0] == .duplicate }
        guard !copies.isEmpty else {
            throw UserFacingError(
                .request,
                """
                \(model.checkpoint.path) has no copied layers that its \(Manifest.fileName) tells of, so there is nothing \
                that --seam ramp could let grow\(kinds.contains(.identity) ? "; layers of surgery expand begin as nothing" : "")
                """)
        }
        let trained = model.layout.parameters.first { parameter in
            parameter.layer.map(copies.contains) == true && origins?.wasTrained(parameter.name) == true
        }
        if let trained {
            throw UserFacingError(
                .request,
                """
                the copied layers of \(model.checkpoint.path) were trained since the surgery (\(trained.name)), and --seam ramp \
                would take away what they do by now; leave it out, or begin with the model as the surgery left it
                """)
        }
        (layers, self.steps) = (copies, steps)
    }
}
