internal import Formats
internal import Models

/// How a grown model is held to its parent in its midst, at the beginning of a run: behind each run of layers that it has from
/// the parent, its residual stream should be what the parent's is behind the same layer.
///
/// To the loss of a target that is taught is added β times the mean square of the difference, of all channels and all such layers.
public struct HiddenTeaching: Codable, Sendable, Equatable {
    /// β, above 0.
    public var weight: Double
    /// In how many of the first steps.
    public var steps: Int
    /// The layers, from 0: the model's in rising order, and the parent's that each is a copy of.
    public var own: [Int], parents: [Int]

    /// What is asked for: β, and the share of the steps.
    struct Rule {
        let weight: Double, share: Double

        /// Reads what was typed, `0.1` or `0.1:0.05`.
        ///
        /// - Throws: ``UserFacingError`` that quotes it.
        init(_ text: String) throws(UserFacingError) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
            guard (1...2).contains(parts.count), let weight = parts[0], weight > 0, weight <= 1_000_000,
                let share = parts.count == 2 ? parts[1] : 0.05, share > 0, share <= 1
            else {
                throw UserFacingError(
                    .request,
                    """
                    teacher-hidden '\(text)' must be WEIGHT[:SHARE], a weight above 0 and a share of the steps above 0 and at most \
                    1, as in 0.1:0.05
                    """)
            }
            (self.weight, self.share) = (weight, share)
        }
    }
}

extension PreparedTeacher {
    /// The layers behind which a model and the teacher are compared, where something is trained in them or below.
    ///
    /// - Parameters:
    ///   - rule: what is asked for.
    ///   - student: the model.
    ///   - layout: what of it is trained.
    ///   - steps: in how many steps.
    ///   - isCancelled: asked while checksums of the teacher are computed; true stops.
    /// - Returns: how it is done, and a sentence of what else than weights is other than the parent's.
    /// - Throws: ``UserFacingError`` when nothing tells which of the model's layers are the teacher's, or they are another
    ///   model's.
    func hidden(
        _ rule: HiddenTeaching.Rule, of student: PretrainedModel, training layout: ParameterLayout,
        steps: Int, isCancelled: () -> Bool
    ) throws(UserFacingError) -> (HiddenTeaching, warning: String?) {
        let path = student.checkpoint.path
        let sources = try HiddenTeaching.sources(of: student)
        let (own, its) = (student.architecture, model.architecture)
        let last = sources.max() ?? 0
        guard last < its.layers.count, own.hiddenSize == its.hiddenSize else {
            throw .badHiddenTeaching(
                """
                \(path) was grown from a model of \(last + 1) layers or more and \(own.hiddenSize) channels, and the teacher \
                \(self.path) has \(its.layers.count) and \(its.hiddenSize); name the parent, as --teacher parent does
                """)
        }
        let hidden = HiddenTeaching(rule, sources, from: layout.lowestTrainedLayer, steps: steps)
        guard !hidden.own.isEmpty else {
            throw .badHiddenTeaching(
                "nothing is trained below the layers of \(path) that would be compared; leave it out")
        }
        guard let fault = try parentFault(of: student, isCancelled) else { return (hidden, nil) }
        guard !fault.isOfWeights else {
            throw .badHiddenTeaching(
                """
                the teacher \(self.path) is not the model that \(path) was grown from: \(fault.reason). Name that by --parent or \
                as the teacher, or leave teacher-hidden out
                """)
        }
        return (hidden, "the teacher's weights are the parent's, but \(fault.reason)")
    }
}

extension HiddenTeaching {
    /// A comparison behind each run of layers that follow one another as in the parent.
    ///
    /// - Parameters:
    ///   - rule: what is asked for.
    ///   - sources: the layer of the parent that each of the model's is, or is a copy of.
    ///   - first: the first layer that is compared.
    ///   - steps: in how many steps.
    init(_ rule: Rule, _ sources: [Int], from first: Int = 0, steps: Int) {
        let ends = sources.indices.filter { layer in
            layer >= first && (layer + 1 == sources.count || sources[layer + 1] != sources[layer] + 1)
        }
        self.init(weight: rule.weight, steps: steps, own: ends, parents: ends.map { sources[$0] })
    }

    /// The layer of its parent that each of a model's is, or is a copy of.
    ///
    /// - Throws: ``UserFacingError`` when nothing tells which, or none is copied.
    static func sources(of model: PretrainedModel) throws(UserFacingError) -> [Int] {
        guard let origins = try ModelOrigins(of: model), let sources = origins.sources,
            origins.layers?.contains(.duplicate) == true
        else {
            throw .badHiddenTeaching(
                """
                \(model.checkpoint.path) has no copied layers that its \(Manifest.fileName) tells of, so there is nothing to \
                compare with the teacher's; leave it out
                """)
        }
        return sources
    }
}

extension UserFacingError {
    fileprivate static func badHiddenTeaching(_ reason: String) -> Self {
        Self(.request, "teacher-hidden: \(reason)")
    }
}
