public import Formats
internal import Models

extension Checkpoint {
    /// What does not fit together in configuration, tensors and tokenizer, a sentence each.
    ///
    /// Layers that can't be told from the tensor names are no disagreement: not every operation needs them.
    public var inconsistencies: [String] {
        var result: [String] = []
        var layers: LayerNames.Group?
        do {
            layers = try self.layers()
        } catch {
            if case .countsDiffer = error { result.append(error.description) }
        }
        return result + inconsistencies(layers: layers, tokenizer: TokenizerSummary(of: self))
    }

    /// Refuses a model whose configuration, tensors and tokenizer do not fit together.
    ///
    /// - Throws: ``DisagreementError``, nothing having been written.
    public func checkAgreement() throws(DisagreementError) {
        let inconsistencies = inconsistencies
        if !inconsistencies.isEmpty { throw DisagreementError(path: path, inconsistencies: inconsistencies) }
    }
}

/// A model that does not fit together.
public struct DisagreementError: UserFacingError, Equatable {
    /// Where it was opened from.
    public let path: String
    /// What does not fit together, a sentence each.
    public let inconsistencies: [String]

    /// The first disagreement, and what to do.
    public var description: String {
        let others = inconsistencies.count > 1 ? " (and \(inconsistencies.count - 1) more)" : ""
        // Some begin with the path themselves.
        let first = inconsistencies.first ?? ""
        let sentence = first.hasPrefix(path) ? first : "\(path): \(first)"
        return
            "\(sentence)\(others); surgery inspect shows the model, and --allow-disagreement writes it as it is"
    }

    /// The input is at fault.
    public var fault: Fault { .input }
}
