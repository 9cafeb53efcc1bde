public import Formats
internal import OrderedCollections

extension Checkpoint {
    /// The name of the output head where the configuration says that it is the embedding, and the file has another.
    ///
    /// transformers 5 compares the two and computes with both where they differ, whatever the configuration says
    /// (`PreTrainedModel.tie_weights`); so does everything here. Only where the file has both are they read, as far
    /// as they are alike.
    ///
    /// - Returns: the name; nil where the head is the embedding, or the configuration gives the model one of its own.
    /// - Throws: ``UserFacingError`` when one of them can't be read.
    public func ownHead() throws(UserFacingError) -> String? {
        guard let configuration, let family = configuration.family, configuration.saysTied(family) else {
            return nil
        }
        let naming = TensorNaming(family, names: tensors.keys)
        let name = naming.weightName(of: .head)
        guard let head = tensors[name], let embedding = tensors[naming.weightName(of: .embedding)] else {
            return nil
        }
        return try head.hasSameValues(as: embedding) ? nil : name
    }

    /// What a user should know of a head that ``ownHead()`` found.
    package static func note(ofOwnHead name: String, path: String) -> String {
        """
        \(path): config.json says that the output head is the embedding (tie_word_embeddings), but the file has a \
        head of its own (\(name)); it is used, as transformers 5 does. Set tie_word_embeddings to false, for older \
        versions would lose it
        """
    }
}

extension Configuration {
    /// Whether it says that the output head is the embedding, or leaves that to a family that takes it for granted.
    func saysTied(_ family: Family) -> Bool {
        let text = json["text_config"]?.object
        let own = json["tie_word_embeddings"] ?? text?["tie_word_embeddings"]
        if let own = own?.bool { return own }
        return text == nil ? family.isTied : DescribedModel.isTiedByDefault(modelType ?? "") ?? family.isTied
    }
}

extension TensorExpression {
    /// Whether both have the same shape and the same values, in whatever types.
    fileprivate func hasSameValues(as other: TensorExpression) throws(UserFacingError) -> Bool {
        guard shape == other.shape else { return false }
        if type == other.type { return try firstDifference(from: other) == nil }
        guard type.isFloatingPoint, other.type.isFloatingPoint else { return false }
        return try cast(to: .f32).firstDifference(from: other.cast(to: .f32)) == nil
    }
}
