public import Formats

/// Something that is done to a model: a pure function with parameters.
///
/// The parameters are the same on a command line, in a recipe and in the manifest, under the same names: the coding keys
/// are the command's options. An operation is one file here and one file in the command.
public protocol SurgeryOperation: Parameterized {
    /// What it makes of a model; nothing is written.
    ///
    /// Call ``Checkpoint/applying(_:_:)``, which also has the manifest tell of it.
    ///
    /// - Throws: ``UserFacingError`` when the model can't be made that.
    func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome
}

/// What an operation that takes long is given besides its parameters; no result depends on it, but on what the probe finds.
public struct OperationContext {
    /// The most threads that work.
    public var threads: Int
    /// Whether nothing will be written: what depends on files that are not there is guessed as well as can be, and a warning
    /// names them.
    public var isDryRun: Bool
    /// Given each further model that an operation opens, once; throws where its parts do not fit together.
    public var checkAgreement: (Checkpoint) throws(UserFacingError) -> Void
    /// What tries ways in which new rows may begin; nil where nothing can train.
    public var probe: (any InitializationProbe)?
    /// Asked often; true stops.
    public var isCancelled: () -> Bool
    /// Told how far something is: what, as in "reading", how much is done, of how much.
    public var progress: (_ doing: String, _ done: Int, _ total: Int) -> Void

    /// A context; by default of one thread, and nobody watches.
    public init(
        threads: Int = 1, isDryRun: Bool = false,
        checkAgreement: @escaping (Checkpoint) throws(UserFacingError) -> Void = {
            (model) throws(UserFacingError) in try model.checkAgreement()
        }, probe: (any InitializationProbe)? = nil, isCancelled: @escaping () -> Bool = { false },
        progress: @escaping (_ doing: String, _ done: Int, _ total: Int) -> Void = { _, _, _ in }
    ) {
        self.threads = threads
        self.isDryRun = isDryRun
        self.checkAgreement = checkAgreement
        self.probe = probe
        self.isCancelled = isCancelled
        self.progress = progress
    }
}

/// What an operation makes of a model, and what is told of it.
public struct Outcome: Sendable {
    /// A line for people.
    public struct Line: Sendable, Equatable {
        /// What it is about, as in `layers`.
        public let label: String
        /// What there is to say.
        public let text: String
    }

    /// The model, not written yet.
    public var checkpoint: Checkpoint
    /// Which layers it is made of, where the operation has changed that.
    public var plan: LayerPlan?
    /// What changed in the configuration.
    public var changes: [ConfigurationChange] = []
    /// What there is to say to people.
    public var summary: [Line] = []
    /// What followed from the parameters, for programs and for the manifest.
    public var facts = JSONObject()
    /// What the name of the result's folder says of it, as in `dus-48`.
    public var suffix = ""
    /// What its user should know, a sentence each.
    public var warnings: [String] = []

    /// What an operation has made.
    public init(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

    /// Has a line for people.
    mutating func say(_ label: String, _ text: String) { summary.append(Line(label: label, text: text)) }
}

extension Checkpoint {
    /// What an operation makes of this model, with the manifest telling of it.
    ///
    /// - Parameters:
    ///   - operation: what is done.
    ///   - context: threads, and who watches.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when the model can't be made that.
    public func applying(
        _ operation: some SurgeryOperation, _ context: OperationContext = OperationContext()
    ) throws(UserFacingError) -> Outcome {
        var outcome = try operation.apply(to: self, context)
        outcome.checkpoint.otherSources += operation.inputs
        outcome.checkpoint.operations.append(
            Manifest.Operation(
                name: type(of: operation).name, parameters: operation.parameters, facts: outcome.facts))
        return outcome
    }
}
