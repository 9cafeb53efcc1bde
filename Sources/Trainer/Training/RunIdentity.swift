internal import Formats
internal import Foundation
internal import Models
internal import OrderedCollections

/// What makes two runs the same run, so that one may go on where the other stopped.
///
/// It is what decides the result's bytes: settings, data and what comes from the model as it is, all by content. Where
/// things lie, how many threads compute and what is computed again decide nothing.
public struct RunIdentity: Codable, Sendable, Equatable {
    /// A file of the data.
    public struct File: Codable, Sendable, Equatable {
        /// Its path as it was given, for messages.
        public var path: String
        /// Its size.
        public var bytes: Int
        /// The SHA-256 of what is in it.
        public var sha256: String
        /// Its share of the data; nil for rows of tokens.
        public var weight: Double?
        /// How `trainer select` has chosen it; nil where it has not.
        var chosen: SelectionRecord?
    }

    /// What the stages were asked to do, in order.
    public var stages: [StagePlan]
    /// The files that each stage trains on.
    public var data: [[File]]
    /// The SHA-256 of the configuration and the tokenizer, by their names, and what other files change of that.
    public var model: [String: String]
    /// The SHA-256 of the trained tensors' names, types and shapes; their values are kept with the run.
    public var trained: String
    /// The SHA-256 of all tensors that come along as they are; nil where there are none.
    public var frozen: String?
    /// The SHA-256 of the teacher's configuration, tokenizer and tensors; nil where there is none.
    public var teacher: String?
    /// Whether control tokens that texts spell out are encoded as text; nil where they are not.
    public var isPlainText: Bool?
    /// The checkpoint of another run that this one began with: that run's name and step; nil where it began with the model.
    public var beginning: String?
    /// The sets that are evaluated; nil where there are none.
    ///
    /// They don't decide the result unless the run goes by them, but figures of a run are compared with each other.
    public var sets: [EvaluatedSet]?
    /// What the run goes by that is no number of a stage; nothing where it goes by its steps alone.
    public var rules: Rules?

    /// A set that is evaluated.
    public struct EvaluatedSet: Codable, Sendable, Equatable {
        /// What it is called.
        public var name: String
        /// The SHA-256 of its tokens, document by document.
        public var sha256: String
        /// Bytes of its texts; nil for tokens without a text.
        public var bytes: Int?
    }

    /// What decides by evaluations and checkpoints when a run ends, what becomes of it, and where it goes back to.
    public struct Rules: Codable, Sendable, Equatable {
        /// What becomes of it, where that is the best by evaluation.
        public var result: RunResult?
        /// After how many evaluations without improvement it ends.
        public var patience: Int?
        /// The sets that have to be healed for it to end.
        public var untilHealed: [String]?
        /// When the sets are evaluated by which it goes.
        public var evaluated: String?
        /// Steps between the checkpoints that a guard goes back to.
        public var checkpointEvery: Int?

        enum CodingKeys: String, CodingKey {
            case result, patience, evaluated
            case untilHealed = "until-healed"
            case checkpointEvery = "checkpoint-every"
        }

        /// None.
        init() {}

        /// Those of a job; nil where it goes by none.
        init?(_ job: TrainingJob) {
            result = job.result == .best ? .best : nil
            patience = job.patience
            untilHealed = job.untilHealed ? job.healingSets : nil
            let isJudged = result != nil || patience != nil || untilHealed != nil
            evaluated = isJudged ? job.evaluationSchedule.description : nil
            checkpointEvery = job.guarding == .rollback ? job.checkpointEvery : nil
            if !isJudged, checkpointEvery == nil { return nil }
        }

        /// Whether it goes by the sets.
        var isJudged: Bool { evaluated != nil }
    }

    /// The identity of a run; reads what is not trained, and rows of tokens, through once.
    ///
    /// - Throws: `UserFacingError` when a file cannot be read.
    init(of job: PreparedJob) throws(UserFacingError) {
        stages = job.stages.map(\.plan)
        // How documents are read counts only as far as their contents do not show it.
        isPlainText = job.job.text.isPlain ? true : nil
        beginning = try job.beginning.map { (kept) throws(UserFacingError) in
            try kept.checkValues(of: job.model.checkpoint)
            return "\(kept.identity.name), step \(kept.progress.step)"
        }
        sets =
            job.evaluations.isEmpty
            ? nil
            : job.evaluations.map {
                EvaluatedSet(name: $0.name, sha256: $0.sha256, bytes: $0.bytes)
            }
        rules = Rules(job.job)
        let checkpoint = job.model.checkpoint
        let trained = job.stages.reduce(into: Set<String>()) { $0.formUnion($1.layout.trainedNames) }
        model = try Self.files(of: checkpoint)
        self.trained = Self.shapes(of: trained, in: checkpoint)
        frozen = try Self.values(ofAllBut: trained, in: checkpoint)
        teacher = try job.teacher.map { (teacher) throws(UserFacingError) in
            try teacher.sha256()
        }
        data = []
        for stage in job.stages {
            guard let path = stage.job.ids else {
                data.append(
                    zip(stage.job.sources, stage.contents).map { source, content in
                        File(
                            path: source.path, bytes: content.byteCount, sha256: content.sha256,
                            weight: source.weight, chosen: job.selections[source.path])
                    })
                continue
            }
            data.append([try Self.file(path)])
        }
    }

    /// The SHA-256 of a model's configuration and tokenizer, by their names, and what other files change of how that encodes
    /// text, by the keys there: `split_special_tokens` and the like.
    static func files(of checkpoint: Checkpoint) throws(UserFacingError) -> [String: String] {
        let stored = try checkpoint.stored()
        var files: [String: String] = [:]
        if let configuration = stored.configuration {
            files[Configuration.fileName] = FileDigest.sha256(configuration.serialized())
        }
        for file in stored.auxiliaryFiles
        where file.name == "tokenizer.json" || file.name.hasPrefix("assets/") {
            files[file.name] = FileDigest.sha256(try file.bytes())
        }
        // Nothing is encoded by a tokenizer that can't be loaded.
        let tokenizer = TokenizerFiles(of: checkpoint.auxiliaryFiles, path: checkpoint.path)
        for (key, value) in (try? tokenizer.loaded())?.changes ?? [:] {
            let text = value.array == nil ? value.text : FileDigest.sha256(value.serialized(indent: nil))
            files["tokenizer_config.json: \(key)"] = text
        }
        return files
    }

    /// The SHA-256 of names, types and shapes of some of a model's tensors.
    static func shapes(of names: Set<String>, in checkpoint: Checkpoint) -> String {
        let types = names.sorted().map {
            "\($0) \(checkpoint.tensors[$0]?.type.rawValue ?? "") \(checkpoint.tensors[$0]?.shape ?? [])\n"
        }
        return FileDigest.sha256(Array(types.joined().utf8))
    }

    /// The SHA-256 of all of a model's tensors but these, which are read through; nil where there are none.
    static func values(
        ofAllBut names: Set<String>, in checkpoint: Checkpoint
    ) throws(UserFacingError) -> String? {
        let rest = checkpoint.tensors.keys.sorted().filter { !names.contains($0) }.compactMap { name in
            checkpoint.tensors[name].map { (name: name, tensor: $0) }
        }
        return rest.isEmpty ? nil : try FileDigest.sha256(rest)
    }

    /// What a run has done, for the manifest of what is made of it.
    ///
    /// - Parameters:
    ///   - steps: the steps that it has taken.
    ///   - shown: what it has shown, by source.
    ///   - stage: the stage that it is in, from 0.
    ///   - more: what else there is to say.
    /// - Returns: the operation.
    func operation(
        steps: Int, shown: [SourceProgress], stage: Int, and more: JSONObject
    ) -> Manifest.Operation {
        var parameters = JSONObject()
        parameters["steps"] = .init(steps)
        parameters["tokens"] = .init(shown.tokens)
        let synthetic = shown.filter { $0.synthetic != nil }
        if !synthetic.isEmpty {
            parameters["synthetic_tokens"] = .object(
                synthetic.reduce(into: JSONObject()) { $0[$1.name] = JSON($1.synthetic ?? 0) })
        }
        parameters["learning_rate"] = .init(stages[stage].optimizer.rate)
        parameters["seed"] = .string(String(stages[0].seed))
        parameters["run"] = .string(name)
        if let beginning { parameters["from"] = .string(beginning) }
        if stages.count > 1 { parameters["stages"] = .array(stages.map { .string($0.title ?? "") }) }
        var seen: Set<String> = []
        let chosen = data.flatMap(\.self).filter { $0.chosen != nil && seen.insert($0.path).inserted }
        if !chosen.isEmpty {
            parameters["selected"] = .array(chosen.compactMap { $0.chosen?.json(path: $0.path) })
        }
        for (key, value) in more { parameters[key] = value }
        return Manifest.Operation(name: TrainingJob.name, parameters: parameters)
    }

    /// What the manifest says of a teacher, which lies in a folder.
    func teaching(by path: String, _ taught: TaughtTargets) -> JSON {
        [
            "name": .string(Path.name(path)), "sha256": teacher.map { .string($0) } ?? .null,
            "taught": JSON(taught.taught), "targets": JSON(taught.targets),
        ]
    }

    private static func file(_ path: String, weight: Double? = nil) throws(UserFacingError) -> File {
        let file = try InputFile(path: path)
        return File(path: path, bytes: file.size, sha256: try FileDigest.sha256(file), weight: weight)
    }

    /// A short name of the run, the same however long it is to be.
    var name: String {
        var same = comparable
        if let last = same.stages.indices.last {
            (same.stages[last].steps, same.stages[last].schedule.steps) = (0, 0)
            same.stages[last].schedule.warmup = 0
            same.stages[last].ramp?.steps = 0
            same.stages[last].teaching?.hidden?.steps = 0
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let bytes = (try? encoder.encode(same)).map { [UInt8]($0) } ?? []
        return String(FileDigest.sha256(bytes).prefix(16))
    }

    /// What is different from a run that was kept after a step, as "stages[0].seed is 4, was 3".
    ///
    /// The last stage may become longer or shorter as long as the rate of every step that was taken stays what it was.
    func differences(from kept: RunIdentity, after progress: RunProgress) -> [String] {
        var (new, old) = (comparable, kept.comparable)
        if let last = new.stages.indices.last, old.stages.count == new.stages.count {
            let taken = progress.stage == last ? progress.inStage.step : 0
            let sameRates = (0..<taken).allSatisfy {
                new.stages[last].schedule.factor(at: $0) == old.stages[last].schedule.factor(at: $0)
            }
            if sameRates, new.stages[last].steps >= taken {
                (new.stages[last].steps, new.stages[last].schedule) = (
                    old.stages[last].steps, old.stages[last].schedule
                )
            }
        }
        return words(of: new, old, kept)
    }

    /// What is different from a run that was planned, in the same words.
    func differences(from kept: RunIdentity) -> [String] {
        words(of: comparable, kept.comparable, kept)
    }

    /// What is different between this run and one that was kept, of which only `new` and `old` are compared.
    private func words(of new: RunIdentity, _ old: RunIdentity, _ kept: RunIdentity) -> [String] {
        var new = new
        var differences: [String] = []
        if new.data != old.data {
            differences.append(
                "the data is \(Self.words(data.flatMap(\.self))), was \(Self.words(kept.data.flatMap(\.self)))"
            )
        }
        differences += Self.words(of: sets ?? [], kept.sets ?? [])
        if new.frozen != old.frozen {
            differences.append(
                "tensors of the model that are not trained have other values than when it began")
        }
        if new.teacher != old.teacher {
            differences.append(
                new.teacher == nil || old.teacher == nil
                    ? "it has \(new.teacher == nil ? "no" : "a") teacher, and had \(old.teacher == nil ? "none" : "one")"
                    : "the teacher is another model, or has other values than when it began")
        }
        (new.data, new.frozen, new.teacher) = (old.data, old.frozen, old.teacher)
        // Rules are called as the options are.
        differences += Self.compare(Self.json(new.rules ?? Rules()), Self.json(old.rules ?? Rules()))
        (new.sets, new.rules) = (old.sets, old.rules)
        return differences + Self.compare(Self.json(new), Self.json(old))
    }

    /// What is different between sets, whose figures would be put beside each other.
    private static func words(of new: [EvaluatedSet], _ old: [EvaluatedSet]) -> [String] {
        let (now, then) = (Set(new.map(\.name)), Set(old.map(\.name)))
        let changed = new.filter { set in old.contains { $0.name == set.name && $0 != set } }
        return changed.map { "the set '\($0.name)' has other text than when the run began" }
            + now.subtracting(then).sorted().map { "the set '\($0)' is new" }
            + then.subtracting(now).sorted().map { "the set '\($0)' is missing" }
    }

    /// Without what decides nothing.
    var comparable: RunIdentity {
        var same = self
        if rules?.isJudged != true { same.sets = nil }
        for index in same.stages.indices {
            (same.stages[index].recomputation, same.stages[index].title) = (.none, nil)
        }
        for stage in same.data.indices {
            for index in same.data[stage].indices {
                (same.data[stage][index].path, same.data[stage][index].chosen) = ("", nil)
            }
        }
        return same
    }

    private static func words(_ files: [File]) -> String {
        files.map { file in
            let weight = file.weight.map { ", weight \($0)" } ?? ""
            return "\(file.path) (\(file.bytes) bytes, SHA-256 \(file.sha256.prefix(8))\(weight))"
        }.joined(separator: ", ")
    }

    private static func json(_ value: some Encodable) -> JSON? { try? JSON(encoding: value) }

    /// What is different between two descriptions of a run, as "seed is 4, was 3".
    static func compare(_ new: JSON?, _ old: JSON?, path: String = "") -> [String] {
        if new == old { return [] }
        if let new = new?.object, let old = old?.object {
            let keys = Set(new.keys).union(old.keys).sorted()
            return keys.flatMap { compare(new[$0], old[$0], path: path.isEmpty ? $0 : "\(path).\($0)") }
        }
        if let new = new?.array, let old = old?.array, new.count == old.count {
            return new.indices.flatMap { compare(new[$0], old[$0], path: "\(path)[\($0)]") }
        }
        return ["\(path) is \(new?.text ?? "not given"), was \(old?.text ?? "not given")"]
    }
}
