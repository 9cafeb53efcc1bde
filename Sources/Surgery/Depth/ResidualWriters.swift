internal import Formats
internal import Models

/// Which tensors of a layer write into the residual stream: a layer whose writers are zero passes on what it is given.
struct ResidualWriters {
    private let path: String
    private let family: Family

    /// The writers of a model.
    ///
    /// - Throws: ``UserFacingError`` when the family is not known, or its writers are not.
    init(of model: Checkpoint) throws(UserFacingError) {
        path = model.path
        guard let family = model.configuration?.family else {
            throw .unknownWriters(
                path: path, type: model.configuration?.languageModel["model_type"]?.string ?? "none")
        }
        guard family.layerRows.contains(where: \.module.writesResidual) else {
            throw .unknownWriters(path: path, type: family.name)
        }
        self.family = family
    }

    /// Whether a tensor, named by what follows the layer's number, is a writer's weight or bias.
    func write(_ rest: Substring) -> Bool {
        family.layerRows.contains { $0.module.writesResidual && $0.part(named: rest) != nil }
    }

    /// Refuses a model whose layers do more than their writers say, so that zero writers would not be the identity.
    func checkIdentity(of model: Checkpoint) throws(UserFacingError) {
        if let (key, value) = family.noIdentity, let found = model.configuration?.languageModel[key],
            found == value
        {
            throw .noIdentity(path: path, key: key, value: value)
        }
    }

    /// Refuses a layer in which not all is known, or whose writers are not numbers that can be changed by themselves.
    ///
    /// - Parameters:
    ///   - layer: its number, for messages.
    ///   - tensors: its tensors by what follows the layer's number.
    ///   - scaled: whether the writers are multiplied, which a norm behind them would undo.
    /// - Throws: ``UserFacingError`` that names the tensor.
    func check(_ layer: Int, _ tensors: [(rest: Substring, tensor: TensorExpression)], scaled: Bool)
        throws(UserFacingError)
    {
        var parts: Set<Bool> = []
        for (rest, tensor) in tensors {
            let rows = family.layerRows.filter { $0.part(named: rest) != nil }
            if family.isComputed, rows.isEmpty,
                !family.derivedTensors.contains(where: { rest.hasSuffix($0.dropFirst()) })
            {
                throw .unknownInLayer(path: path, layer: layer, tensor: String(rest))
            }
            if scaled,
                rows.contains(where: { [.attentionOutputNorm, .feedForwardOutputNorm].contains($0.module) })
            {
                throw .scaleWithoutEffect(path: path, layer: layer, norm: String(rest))
            }
            for row in rows where row.module.writesResidual {
                guard tensor.type.isFloatingPoint, tensor.type.byteSize.map({ $0 >= 2 }) == true else {
                    throw .quantizedWriter(path: path, layer: layer, tensor: String(rest))
                }
                parts.insert(row.module == .attentionOutput)
            }
        }
        for (part, what) in [(true, "attention"), (false, "the feed-forward part")]
        where !parts.contains(part) {
            throw .missingWriter(path: path, layer: layer, of: what)
        }
    }
}

extension UserFacingError {
    fileprivate static func unknownWriters(path: String, type: String) -> Self {
        Self(
            .unsupported,
            "\(path): which tensors of a layer write into the residual stream is not known for model_type '\(type)', so "
                + "that none can be made zero, scaled or told from the others")
    }

    fileprivate static func noIdentity(path: String, key: String, value: JSON) -> Self {
        Self(
            .unsupported,
            "\(path): config.json has \(key) = \(String(decoding: value.serialized(indent: nil), as: UTF8.self)): a norm "
                + "stands in the residual stream itself, so a layer that does nothing can't be made")
    }

    fileprivate static func unknownInLayer(path: String, layer: Int, tensor: String) -> Self {
        Self(
            .unsupported,
            "\(path): layer \(layer) has a tensor '\(tensor)' that is not known of this family; what it does with zero or "
                + "scaled writers can't be told")
    }

    fileprivate static func scaleWithoutEffect(path: String, layer: Int, norm: String) -> Self {
        Self(
            .unsupported,
            "\(path): layer \(layer) has '\(norm)' behind what would be scaled, which would undo it; leave scale out"
        )
    }

    fileprivate static func quantizedWriter(path: String, layer: Int, tensor: String) -> Self {
        Self(
            .unsupported,
            "\(path): layer \(layer)'s '\(tensor)' is quantised; start from the model that was not quantised")
    }

    fileprivate static func missingWriter(path: String, layer: Int, of part: String) -> Self {
        Self(
            .unsupported,
            "\(path): layer \(layer) has no tensor that is known to write the result of \(part) into the residual stream"
        )
    }
}
