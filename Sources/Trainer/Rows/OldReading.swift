internal import Formats
internal import Models

/// How a model's texts were read before a surgery gave it tokens: by the parent's tokenizer, in tokens that the model still has.
struct OldReading: Sendable {
    /// The parent.
    let path: String
    /// Its tokenizer.
    let tokenizer: Tokenizer
    /// The model's token for each of the parent's, negative where it has none with the parent's row.
    let tokens: [Int32]
    /// The tokens that the parent does not have, in rising order.
    let new: [Int32]

    /// Looks for the parent of a job's model and opens its tokenizer.
    ///
    /// - Parameters:
    ///   - job: the job.
    ///   - model: the model.
    ///   - tokenizer: the model's.
    ///   - added: the tokens that the surgery has added; nil where it has added none, or there was none.
    ///   - isDryRun: whether a parent without weights will do, and one that is missing.
    ///   - isCancelled: asked while checksums of the parent are computed; true stops.
    /// - Returns: the reading, or why there is no parent; nil where no stage distils rows.
    /// - Throws: ``UserFacingError`` where there is nothing to learn.
    static func find(
        for job: TrainingJob, _ model: PretrainedModel, _ tokenizer: Tokenizer, added: TokenExposure?,
        isDryRun: Bool, isCancelled: () -> Bool
    ) throws -> (reading: OldReading?, missing: String?)? {
        guard job.distilsRows else { return nil }
        let path = model.checkpoint.path
        guard let origins = try ModelOrigins(of: model) else { throw UserFacingError.noSurgeryOfRows(path) }
        guard let added else { throw UserFacingError.noNewRows(path) }
        let folder: String
        switch try job.teachingParent.find(for: model.checkpoint, isCancelled: isCancelled) {
        case .found(let found): folder = found
        case .missing(let reason) where isDryRun: return (nil, reason)
        case .missing(let reason): throw UserFacingError.noOldTokenizer(reason)
        case nil: throw UserFacingError.noOldTokenizer("--no-parent leaves it out")
        }
        let parent: PretrainedModel
        do {
            parent = try PretrainedModel.open(folder)
        } catch let error as UserFacingError where isDryRun && error.kind == .missing {
            parent = try PretrainedModel.blank(folder)
        }
        let old = try parent.tokenizer()
        let shared = try SharedTokens(of: model, tokenizer, in: parent, old)
        let fresh = Set(added.tokens)
        var tokens = [Int32](repeating: -1, count: parent.architecture.vocabularySize)
        for (token, its) in shared.tokens.enumerated() where its >= 0 && !fresh.contains(Int32(token)) {
            tokens[Int(its)] = Int32(token)
        }
        let new = added.tokens.filter { shared.tokens[Int($0)] < 0 }
        guard !new.isEmpty, !origins.newRows.isEmpty else { throw UserFacingError.noNewRows(path) }
        return (OldReading(path: folder, tokenizer: old, tokens: tokens, new: new), nil)
    }
}

extension UserFacingError {
    fileprivate static func noSurgeryOfRows(_ path: String) -> Self {
        Self(
            .request,
            """
            distil-rows: \(path) has no \(Manifest.fileName) that tells of a surgery, so nobody knows which rows are new; \
            grow it with surgery resize-vocab
            """)
    }

    fileprivate static func noNewRows(_ path: String) -> Self {
        Self(
            .request,
            """
            distil-rows: the last surgery has given \(path) no token that its parent does not have, so there is nothing to \
            learn; leave it out
            """)
    }

    fileprivate static func noOldTokenizer(_ reason: String) -> Self {
        Self(
            .missing,
            """
            distil-rows reads texts in the tokens that the model had, too, and the parent's tokenizer is not known: \(reason); \
            name it with --parent
            """)
    }
}
