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
            if error.kind == .inconsistent { result.append(error.description) }
        }
        return result + inconsistencies(layers: layers, tokenizer: TokenizerSummary(of: self))
    }

    /// Refuses a model whose configuration, tensors and tokenizer do not fit together.
    ///
    /// - Throws: ``UserFacingError``, nothing having been written.
    public func checkAgreement() throws(UserFacingError) {
        let inconsistencies = inconsistencies
        if !inconsistencies.isEmpty { throw .inconsistencies(of: path, inconsistencies) }
    }
}

extension UserFacingError {
    /// Parts of a model do not fit together; what does not, a sentence each.
    package static func inconsistencies(of path: String, _ sentences: [String]) -> Self {
        let others = sentences.count > 1 ? " (and \(sentences.count - 1) more)" : ""
        // Some begin with the path themselves.
        let first = sentences.first ?? ""
        let sentence = first.hasPrefix(path) ? first : "\(path): \(first)"
        return Self(
            .inconsistent,
            "\(sentence)\(others); surgery inspect shows the model, and --allow-disagreement writes it as it is"
        )
    }
}
