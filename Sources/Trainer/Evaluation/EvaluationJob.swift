public import Formats

/// An evaluation as a recipe's `eval` step asks for it.
public struct EvaluationJob: Parameterized, Equatable {
    /// `eval`.
    public static let name = "eval"

    /// Sets of documents.
    public var data: [TextSource] = []
    /// Tokens of a window; nil for 512, or as many as the model sees.
    public var length: Int?
    /// What ends a document; nil for the model's own.
    public var endOfText: String?
    /// Whether documents have no end.
    public var noEndOfText = false
    /// How documents are read: see ``TextOptions``.
    public var textKey = TextOptions().textKey, nfc = false, skipBadLines = false, plainText = false

    /// A job of defaults.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case data, length, nfc
        case endOfText = "end-of-text"
        case noEndOfText = "no-end-of-text"
        case textKey = "text-key"
        case skipBadLines = "skip-bad-lines"
        case plainText = "plain-text"
    }

    /// What ``EvaluationJob/init()`` has.
    public static var defaults: JSONObject {
        var defaults = EvaluationJob().parameters
        defaults["data"] = nil
        return defaults
    }

    /// What it takes.
    public static let parameterList =
        [
            OperationParameter("data", .texts(weighted: false), "sets of documents", isRequired: true),
            OperationParameter(
                "length", .integer, "tokens of a window (512, or fewer if the model sees fewer)"),
            OperationParameter("end-of-text", .string, "what ends a document; else the model's eos_token_id"),
            OperationParameter("no-end-of-text", .flag, "documents have no end"),
        ] + TextOptions.parameterList
}

extension EvaluationRequest {
    /// The evaluation that a job is of a model.
    public init(_ job: EvaluationJob, of checkpoint: Checkpoint, threads: Int) {
        self.init(
            model: checkpoint.path, sets: job.data.map { ($0.name, $0.path) },
            text: TextOptions(
                textKey: job.textKey, composes: job.nfc, skipsBadLines: job.skipBadLines,
                isPlain: job.plainText),
            endOfText: EndOfText(token: job.endOfText, isLeftOut: job.noEndOfText),
            length: job.length ?? 0, threads: threads)
        self.checkpoint = checkpoint
    }
}
