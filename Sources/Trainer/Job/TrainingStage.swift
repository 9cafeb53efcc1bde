public import Formats

/// A part of a run with settings of its own: what of the job's parameters is other in it.
///
/// A run's stages follow one another in one job. Each begins with the weights of the one before, in float32, and with the
/// optimizer's moments of every tensor that is trained in both; it has a schedule of its own from its first step on.
public struct TrainingStage: Parameterized, Equatable {
    /// `stage`.
    public static let name = "stage"

    /// The parameters that were given.
    public var parameters: JSONObject

    /// The job's parameters that a stage may change: all but what the run has once.
    static let ofJob: Set<String> = [
        "data", "replay", "ids", "packing", "infill", "infill-spm", "infill-tokens", "steps", "tokens",
        "epochs", "batch", "accumulate",
        "length", "recompute", "gradients", "lr", "embedding-lr", "schedule", "pieces", "warmup",
        "warmup-from", "min-lr-ratio", "decay-share", "hold-ratio", "cooldown-share", "beta1", "beta2", "eps",
        "weight-decay", "clip", "train", "freeze", "groups",
        "rope-theta", "teacher-weight", "teacher-temperature", "teacher-on", "distil-rows",
    ]

    /// What it takes: a name, and what of a job may be other in a stage.
    public static let parameterList =
        [
            OperationParameter("name", .string, "what reports call the stage"),
            OperationParameter("keep-end", .flag, "keep the checkpoint at its end when the run is done"),
        ] + TrainingJob.parametersBesideStages.filter { ofJob.contains($0.name) }

    /// A stage that is what the job is, but for these parameters.
    public init(_ parameters: JSONObject = JSONObject()) { self.parameters = parameters }

    /// Reads a stage as it is typed: its parameters as YAML has them on one line.
    ///
    /// - Parameter text: as in `name: rows, steps: 100, freeze: [model.layers.*]`.
    /// - Throws: ``UserFacingError`` that quotes what can't be read.
    public init(parsing text: String) throws(UserFacingError) {
        let node = try YAMLNode(parsing: "{\(text)}", file: "the stage '\(text)'")
        guard let object = node.json.object else {
            throw UserFacingError(
                .request, "the stage '\(text)': give parameters, as in 'steps: 100, lr: 1e-4'")
        }
        try self.init(parameters: object) { key in
            key.map { "the stage '\(text)', \($0)" } ?? "the stage '\(text)'"
        }
    }

    /// Reads the parameters as they stand.
    public init(from decoder: any Decoder) throws { parameters = try JSON(from: decoder).object ?? [:] }

    /// Writes the parameters as they stand.
    public func encode(to encoder: any Encoder) throws { try JSON.object(parameters).encode(to: encoder) }

    /// What it is called; nil where it was given no name.
    public var title: String? { parameters["name"]?.string }

    /// Whether the checkpoint at its end stays when the run is done.
    public var keepsEnd: Bool { parameters["keep-end"]?.bool ?? false }
}

extension TrainingJob {
    /// The same job without stages, with the parameters of one of them in place of its own.
    ///
    /// Text replaces rows and the other way round, and so do steps, tokens and passes. A schedule of the stage's own takes of the
    /// job's parameters only those that it reads; a stage that turns no document round or has no warm-up none that say how.
    func stage(_ stage: TrainingStage) -> TrainingJob {
        var values = parameters
        values["stages"] = []
        for alternatives in [["data", "replay", "ids"], ["steps", "tokens", "epochs"]]
        where alternatives.contains(where: { stage.parameters[$0] != nil }) {
            for name in alternatives { values[name] = TrainingJob.defaults[name] }
        }
        if let word = stage.parameters["schedule"]?.string, let schedule = Schedule.Shape(rawValue: word) {
            for name in schedule.unreadParameters { values[name] = TrainingJob.defaults[name] }
        }
        for (name, unread) in [("infill", ["infill-spm", "infill-tokens"]), ("warmup", ["warmup-from"])]
        where stage.parameters[name]?.double == 0 {
            for name in unread { values[name] = TrainingJob.defaults[name] }
        }
        for (name, value) in stage.parameters where name != "name" && name != "keep-end" {
            values[name] = value
        }
        guard let job = try? JSON.object(values).decoded(as: TrainingJob.self) else {
            preconditionFailure("a stage's parameters were checked when it was read")
        }
        return job
    }

    /// Goes by a constant rate from here on, with none of the numbers of other schedules.
    mutating func keepRate() {
        let usual = TrainingJob()
        (schedule, pieces, minLrRatio) = (.constant, usual.pieces, usual.minLrRatio)
        (decayShare, holdRatio, cooldownShare) = (usual.decayShare, usual.holdRatio, usual.cooldownShare)
    }

    /// The jobs of its stages, in order: itself where it has none.
    ///
    /// One that distils rows has the numbers of that in place of those of a healing on text.
    public var stageJobs: [TrainingJob] {
        (stages.isEmpty ? [self] : stages.map(stage)).map { $0.distilling() }
    }

    /// What its stages are called, in order: `stage 2` where one has no name; nil where it has no stages.
    func title(ofStage index: Int) -> String? {
        stages.indices.contains(index) ? stages[index].title ?? "stage \(index + 1)" : nil
    }
}

extension Schedule.Shape {
    /// The parameters of other schedules that it does not read.
    fileprivate var unreadParameters: [String] {
        (self == .joined ? [] : ["pieces"]) + (self == .infinite ? [] : ["hold-ratio", "cooldown-share"])
            + (hasWarmup ? [] : ["warmup", "warmup-from"]) + (self == .constant ? ["min-lr-ratio"] : [])
    }
}
