package import Formats
internal import Models
internal import OrderedCollections

/// Another model that has to have the first one's shape and tokens before numbers of both are computed with.
struct ModelComparison {
    /// The model that the other is compared with, as its files have it.
    let first: Checkpoint
    /// The other one.
    let other: Checkpoint
    /// What there is to know of what differs and does no harm, a sentence each.
    private(set) var notes: [String] = []
    /// How many rows the other has behind those of the first, by the tensors that have them.
    private(set) var extraRows: OrderedDictionary<String, Int> = [:]

    /// Compares all but the numbers.
    ///
    /// - Parameters:
    ///   - first: a model.
    ///   - other: one that should be like it.
    ///   - allowsMoreRows: whether the other may have more tokens, which follow behind those of the first.
    /// - Throws: ``UserFacingError`` that names what differs.
    init(_ first: Checkpoint, _ other: Checkpoint, allowsMoreRows: Bool = false) throws(UserFacingError) {
        (self.first, self.other) = (first, other)
        for model in [first, other] {
            if let quantization = model.quantization { throw .quantised(model.path, quantization) }
        }
        try compareTensors(allowsMoreRows)
        let models = (try first.asHuggingFace(), try other.asHuggingFace())
        try compareConfigurations(models.0, models.1)
        try compareTokenizers(models.0, models.1, allowsMoreRows)
    }

    private mutating func compareTensors(_ allowsMoreRows: Bool) throws(UserFacingError) {
        if let missing = first.names.first(where: { other.tensors[$0] == nil }) {
            throw .unlike(other.path, first.path, "it has no tensor '\(missing)'")
        }
        for name in other.names where first.tensors[name] == nil {
            guard try isTiedHead(name) else {
                throw .unlike(other.path, first.path, "it has a tensor '\(name)' besides")
            }
            notes.append("\(other.path) stores its tied head (\(name)) once more, which is left out")
        }
        for (name, tensor) in first.tensors {
            guard let found = other.tensors[name] else { continue }
            let more = (found.shape.first ?? 0) - (tensor.shape.first ?? 0)
            if allowsMoreRows, more > 0, found.shape.dropFirst() == tensor.shape.dropFirst(),
                VocabularyEnd.part(named: name) != nil
            {
                extraRows[name] = more
            } else if found.shape != tensor.shape {
                throw .unlike(
                    other.path, first.path, "its tensor '\(name)' is \(found.shape), not \(tensor.shape)")
            }
            if found.type.isFloatingPoint != tensor.type.isFloatingPoint {
                throw .unlike(
                    other.path, first.path,
                    "its tensor '\(name)' is of type \(found.type.rawValue), not \(tensor.type.rawValue)")
            }
        }
    }

    /// Whether a tensor is a head that is the embedding again.
    private func isTiedHead(_ name: String) throws(UserFacingError) -> Bool {
        guard VocabularyEnd.part(named: name)?.end == .output else { return false }
        let model = try other.asHuggingFace()
        guard model.configuration?["tie_word_embeddings"]?.bool != false else { return false }
        return try model.ownHead() == nil
    }

    private mutating func compareConfigurations(
        _ first: Checkpoint, _ other: Checkpoint
    ) throws(UserFacingError) {
        guard let old = first.configuration, let new = other.configuration else {
            notes.append("of \(first.path) and \(other.path) not both have a config.json to be compared")
            return
        }
        if old.modelType != new.modelType {
            throw .unlike(
                other.path, first.path,
                "its config.json is of a \(new.modelType ?? "?"), not a \(old.modelType ?? "?")")
        }
        let ignored: Set<String> = [
            "architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "use_cache",
            "vocab_size",
        ]
        let keys = ConfigurationChange.differences(from: old.json, to: new.json, path: "").map(\.key)
            .filter { key in
                let last = key.split(separator: ".").last.map(String.init) ?? key
                return !ignored.contains(last) && !TokenKey.isToken(last)
            }
        guard !keys.isEmpty else { return }
        notes.append(
            "config.json of \(other.path) differs from that of \(first.path) in \(keys.joined(separator: ", ")), "
                + "which numbers cannot carry over")
    }

    private mutating func compareTokenizers(
        _ first: Checkpoint, _ other: Checkpoint, _ allowsMoreRows: Bool
    ) throws(UserFacingError) {
        let files = (try first.tokenizerFiles(), try other.tokenizerFiles())
        guard !files.0.isEmpty, !files.1.isEmpty else {
            notes.append(
                "\((files.0.isEmpty ? first : other).path) has no tokenizer.json, so it is not known whether the "
                    + "tokens are the same")
            return
        }
        let (old, new) = (try files.0.tokenizer(), try files.1.tokenizer())
        for id in 0...Int32(max(old.largestID, new.largestID, 0)) {
            let (token, found) = (old.token(of: id), new.token(of: id))
            if token == found || allowsMoreRows && Int(id) > old.largestID { continue }
            throw .unlike(
                other.path, first.path,
                "token \(id) is \(found.map { "\"\($0)\"" } ?? "none") there, and "
                    + "\(token.map { "\"\($0)\"" } ?? "none") here")
        }
    }
}

extension UserFacingError {
    /// Two models are not of one shape or tokenizer.
    package static func unlike(_ other: String, _ first: String, _ what: String) -> Self {
        Self(
            .inconsistent,
            "\(other) is not like \(first): \(what); only models of one shape and tokenizer go together")
    }

    /// Numbers that mean something only together with scales.
    fileprivate static func quantised(_ path: String, _ quantization: Quantization) -> Self {
        Self(
            .unsupported,
            "\(path) is quantised: \(quantization); its numbers mean something only together with their scales and can't be "
                + "added to others; start from the model that was not quantised")
    }
}
