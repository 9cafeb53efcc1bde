package import Formats

// Why a checkpoint cannot be trained or evaluated.
extension UserFacingError {
    /// The model is not a folder.
    package static func noFolder(path: String) -> Self {
        Self(
            .missing,
            "\(path) is no folder; name the folder that holds the model's config.json and weights")
    }

    /// There is no config.json, or it names no family.
    package static func noFamily(path: String) -> Self {
        Self(
            .missing,
            "\(path): config.json has no model_type; the trainer must know the model's family to compute it")
    }

    /// The family is not among those that the trainer knows.
    package static func unknownFamily(path: String, found: String, known: [String]) -> Self {
        Self(
            .unsupported,
            "\(path): model_type is '\(found)'; the trainer knows \(known.joined(separator: ", "))")
    }

    /// A key of the configuration asks for what the trainer cannot do.
    package static func unsupportedSetting(path: String, key: String, value: String, reason: String) -> Self {
        Self(
            .unsupported,
            "\(path): config.json asks for \(key) = \(value), and \(reason)")
    }

    /// A key of the configuration has a value of another kind or size.
    package static func wrongSetting(path: String, key: String, found: String, expected: String) -> Self {
        Self(
            .malformed,
            "\(path): config.json has \(key) = \(found), which must be \(expected)")
    }

    /// A key of the configuration is not there.
    package static func missingSetting(path: String, key: String, expected: String) -> Self {
        Self(
            .missing,
            "\(path): config.json lacks \(key), which must be \(expected)")
    }

    /// The base of the rotary embedding can't be another.
    package static func noRotaryBase(_ theta: Double, path: String, reason: String) -> Self {
        Self(.unsupported, "\(path): rope_theta can't become \(theta): \(reason)")
    }

    /// It is not known what a model needs for longer sequences.
    static func noMaximumLength(_ length: Int, path: String) -> Self {
        Self(
            .unsupported,
            """
            \(path): sequences of \(length) tokens are longer than the model was made for, and more than \
            max_position_embeddings follows from their length; take a shorter --length
            """)
    }

    /// A tensor that the configuration calls for is not in the checkpoint.
    package static func missingTensor(path: String, tensor: String, shape: [Int]) -> Self {
        Self(
            .missing,
            "\(path): tensor '\(tensor)' \(shape) is missing, which config.json calls for")
    }

    /// A tensor has another shape than the configuration calls for.
    package static func shapeMismatch(path: String, tensor: String, found: [Int], expected: [Int]) -> Self {
        Self(
            .inconsistent,
            "\(path): tensor '\(tensor)' is \(found), but config.json calls for \(expected)")
    }

    /// The checkpoint has a tensor that the model would not use.
    package static func unexpectedTensor(path: String, tensor: String, shape: [Int]) -> Self {
        Self(
            .inconsistent,
            """
            \(path): tensor '\(tensor)' \(shape) is not part of the model that config.json describes; \
            correct the configuration or remove the tensor
            """)
    }

    /// Sequences are longer than the model was made for.
    package static func sequenceTooLong(path: String, length: Int, maximum: Int) -> Self {
        Self(
            .unsupported,
            """
            \(path): sequences of \(length) tokens were asked for, but the model was made for at most \(maximum) \
            (max_position_embeddings); ask for a shorter --length
            """)
    }

    /// A tensor's elements are not numbers with a fraction.
    package static func notFloatingPoint(path: String, tensor: String, type: String) -> Self {
        Self(
            .unsupported,
            "\(path): tensor '\(tensor)' is of type \(type); a model's weights must be floating-point numbers"
        )
    }

    /// A tensor holds infinity or what is no number, at these indices.
    package static func notFinite(path: String, tensor: String, value: Float, indices: [Int]) -> Self {
        Self(
            .notFinite,
            """
            \(path): tensor '\(tensor)' holds \(value.isNaN ? "NaN" : value < 0 ? "-infinity" : "infinity") at \
            \(indices), so nothing that is computed with it is a number; take the model from before that happened, \
            or make the file again
            """)
    }

    /// A pattern of what to train is like no tensor's name.
    package static func noSuchTensor(path: String, pattern: String, example: String) -> Self {
        Self(
            .missing,
            "\(path): no tensor is called '\(pattern)'; the names are like \(example), and * stands for any characters"
        )
    }

    /// There is nothing left to train.
    package static func nothingTrained(path: String) -> Self {
        Self(
            .unsupported,
            "\(path): all tensors are frozen, so there is nothing to train; freeze fewer of them")
    }

    /// Tensors that are computed together are trained only in part.
    package static func partlyTrained(trained: [String], frozen: [String]) -> Self {
        Self(
            .unsupported,
            """
            \(trained.joined(separator: ", ")) would be trained and \(frozen.joined(separator: ", ")) frozen, but they \
            are computed as one; train or freeze all of them
            """)
    }

    /// The tokenizer makes tokens that the embedding has no row for.
    package static func vocabularyTooSmall(path: String, rows: Int, largestID: Int) -> Self {
        Self(
            .inconsistent,
            """
            \(path): the tokenizer makes token \(largestID), but the embedding has only rows 0 to \(rows - 1); \
            this tokenizer belongs to another model
            """)
    }
}
