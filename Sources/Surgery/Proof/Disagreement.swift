public import Formats
internal import Models

extension Checkpoint {
    /// What does not fit together in configuration, tensors and tokenizer, a sentence each.
    ///
    /// Layers that can't be told from the tensor names are no disagreement: not every operation needs them.
    public var disagreements: [String] {
        var result: [String] = []
        var layers: LayerNames.Group?
        do {
            layers = try self.layers()
        } catch {
            if case .countsDiffer = error { result.append(error.description) }
        }
        return result + disagreements(layers: layers, tokenizer: TokenizerSummary(of: self))
    }

    /// Refuses a model whose configuration, tensors and tokenizer do not fit together.
    ///
    /// - Throws: ``DisagreementError``, nothing having been written.
    public func checkAgreement() throws(DisagreementError) {
        let disagreements = disagreements
        if !disagreements.isEmpty { throw DisagreementError(path: path, disagreements: disagreements) }
    }
}

/// A model that does not fit together.
public struct DisagreementError: Diagnosis, Equatable {
    /// Where it was opened from.
    public let path: String
    /// What does not fit together, a sentence each.
    public let disagreements: [String]

    /// The first disagreement, and what to do.
    public var description: String {
        let others = disagreements.count > 1 ? " (and \(disagreements.count - 1) more)" : ""
        // Some begin with the path themselves.
        let first = disagreements.first ?? ""
        let sentence = first.hasPrefix(path) ? first : "\(path): \(first)"
        return
            "\(sentence)\(others); surgery inspect shows the model, and --allow-disagreement writes it as it is"
    }

    /// The input is at fault.
    public var fault: Fault { .input }
}
