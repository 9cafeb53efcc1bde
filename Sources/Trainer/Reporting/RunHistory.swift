public import Formats

/// A run as its record tells it, or its log, which knows the steps alone.
public struct RunHistory: Sendable {
    /// A set that was evaluated after a step.
    public struct Evaluation: Sendable {
        /// The step; 0 for the model that the run began with.
        public var step: Int
        /// What the set is called.
        public var set: String
        /// What the model made of it.
        public var result: EvaluationResult
    }

    /// What a parent makes of a set.
    public struct Parent: Sendable {
        /// Where the parent lies.
        public var model: String
        /// What the set is called.
        public var set: String
        /// What the parent made of it.
        public var result: EvaluationResult
    }

    /// Something that happened after a step.
    public struct Occurrence: Sendable {
        /// The step.
        public var step: Int
        /// What: the line's `event`.
        public var name: String
        /// When, as `2026-11-28T10:22:46Z`; nil where the line does not say.
        public var time: String?
        /// All that the line has.
        var line: JSON
    }

    /// The run's name.
    public private(set) var run = ""
    /// Its steps.
    public private(set) var steps: [StepReport] = []
    /// What was evaluated.
    public private(set) var evaluations: [Evaluation] = []
    /// What the parent makes of the sets; of a set that was measured twice the last counts.
    public private(set) var parents: [Parent] = []
    /// What else happened, in order.
    public private(set) var occurrences: [Occurrence] = []

    /// What was known when the run began, or last went on; nil in a log of steps alone.
    var facts: JSON? { occurrences.last { $0.name == "began" || $0.name == "resumed" }?.line }

    /// Reads a run.
    ///
    /// - Parameter path: the run's folder, the healed model beside which it lies, its record, or the file of `--log`.
    /// - Returns: what happened in it.
    /// - Throws: ``UserFacingError`` that names what is not there, or the line that can't be read.
    public static func find(_ path: String) throws(UserFacingError) -> RunHistory {
        try read(file(of: path))
    }

    /// The file that ``find(_:)`` reads.
    ///
    /// - Parameter path: what it is given.
    /// - Returns: the record or the log.
    /// - Throws: ``UserFacingError`` that names what is not there.
    public static func file(of path: String) throws(UserFacingError) -> String {
        if FileSystem.kind(of: path) == .file { return path }
        let folders = [path, CheckpointStore.folder(of: path)]
        for folder in folders {
            let record = Path.join(folder, RunRecord.fileName)
            if FileSystem.kind(of: record) == .file { return record }
            // Those of a recipe's steps.
            let steps = Path.join(folder, stepsName)
            let names = FileSystem.kind(of: steps) == .folder ? try FileSystem.names(steps) : []
            let records = names.map { Path.join(Path.join(steps, $0), RunRecord.fileName) }
                .filter { FileSystem.kind(of: $0) == .file }
            if records.count > 1 { throw .severalRecords(path: path, records: records) }
            if let record = records.first { return record }
        }
        throw .noRecord(path: path, looked: folders.map { Path.join($0, RunRecord.fileName) })
    }

    /// Where the runs of a recipe's models in between lie in that of its result.
    private static let stepsName = "steps"

    /// Keeps what reports are made of where a recipe's models in between are removed: `OUT.run/steps/NAME`.
    ///
    /// - Parameters:
    ///   - folder: where the models lie, `NAME`, and their runs, `NAME.run`.
    ///   - output: the recipe's result.
    /// - Throws: ``UserFacingError`` when the disk does not let them be moved.
    package static func move(
        from folder: String, besideResult output: String
    ) throws(UserFacingError) {
        let suffix = ".run"
        for name in try FileSystem.names(folder) where name.hasSuffix(suffix) {
            let run = CheckpointStore.folder(of: output)
            let steps = Path.join(run, stepsName)
            for folder in [run, steps] { try FileSystem.create(folder) }
            let place = Path.join(steps, String(name.dropLast(suffix.count)))
            try FileSystem.remove(place)
            try FileSystem.rename(Path.join(folder, name), to: place)
        }
    }

    /// Reads a record or a log; a last line that is being written is passed over.
    ///
    /// - Throws: ``UserFacingError`` that names the line that can't be read.
    public static func read(_ path: String) throws(UserFacingError) -> RunHistory {
        var history = RunHistory()
        let bytes = try InputFile(path: path).bytes()
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.isEmpty {
            do {
                try history.add(line, file: path, number: index + 1)
            } catch {
                guard index == lines.count - 1 else { throw error }
            }
        }
        guard !history.run.isEmpty else { throw .noSteps(path: path) }
        return history
    }

    /// Forgets what the run has taken back: the steps after one, and what was evaluated after them.
    private mutating func forget(after step: Int) {
        guard let last = steps.last, last.step > step else { return }
        steps.removeAll { $0.step > step }
        evaluations.removeAll { $0.step > step }
    }

    private mutating func add(
        _ bytes: ArraySlice<UInt8>, file: String, number: Int
    ) throws(UserFacingError) {
        let line = try JSON(parsing: Array(bytes), file: "\(file) line \(number)")
        guard let name = line["run"]?.string, let step = line["step"]?.int else {
            throw .notOfARun(file: file, number: number)
        }
        guard run.isEmpty || name == run else { throw .ofAnotherRun(file: file, number: number, run: name) }
        run = name
        if let format = line["format"]?.int, format != RunRecord.format {
            throw .newerRecord(file: file, found: format)
        }
        switch line["event"]?.string {
        case nil:
            guard let report = StepReport(line) else { throw .notOfARun(file: file, number: number) }
            // A step that was taken again replaces those from it on.
            forget(after: report.step - 1)
            steps.append(report)
        case let event? where event == "evaluated" || event == "parent":
            guard let set = line["set"]?.string,
                let result = try? line["result"]?.decoded(as: EvaluationResult.self)
            else { throw .notOfARun(file: file, number: number) }
            if event == "parent" {
                let model = line["model"]?.string ?? ""
                parents.append(Parent(model: model, set: set, result: result))
            } else {
                evaluations.append(Evaluation(step: step, set: set, result: result))
            }
        case let event?:
            if event == "rolled_back" { forget(after: step) }
            occurrences.append(
                Occurrence(step: step, name: event, time: line["time"]?.string, line: line))
        }
    }
}

extension StepReport {
    /// The report that a line has; nil where it has none.
    fileprivate init?(_ line: JSON) {
        guard let step = line["step"]?.int, let loss = line["loss"]?.double,
            let tokens = line["tokens"]?.int, let lr = line["lr"]?.double,
            let norm = line["grad_norm"]?.double, let seconds = line["seconds"]?.double,
            let sources = line["sources"]?.object
        else { return nil }
        var figures: [String: SourceFigures] = [:]
        for (name, source) in sources {
            guard let passes = source["passes"]?.double, let coverage = source["coverage"]?.double,
                let tokens = source["tokens"]?.int
            else { return nil }
            figures[name] = SourceFigures(
                passes: passes, coverage: coverage, tokens: tokens, synthetic: source["synthetic"]?.int)
        }
        self.init(
            step: step, loss: loss, tokens: tokens, lr: lr, gradNorm: norm, seconds: seconds,
            sources: figures, teacher: line["teacher"].flatMap { try? $0.decoded(as: TeacherFigures.self) },
            rows: line["rows"].flatMap { try? $0.decoded(as: RowFigures.self) })
    }
}

extension EvaluationResult {
    /// What `trainer eval --json` printed of a model, by the sets' names.
    ///
    /// - Throws: ``UserFacingError`` where the file holds something else.
    public static func read(_ path: String) throws(UserFacingError) -> [(
        set: String, result: EvaluationResult
    )] {
        let json = try JSON.read(path: path)
        guard let sets = json["sets"]?.object else { throw .noEvaluation(path: path) }
        var results: [(set: String, result: EvaluationResult)] = []
        for (name, set) in sets {
            guard let result = try? set.decoded(as: EvaluationResult.self) else {
                throw .noEvaluation(path: path)
            }
            results.append((name, result))
        }
        return results
    }
}

extension UserFacingError {
    fileprivate static func noEvaluation(path: String) -> Self {
        Self(.malformed, "\(path) is not what trainer eval --json prints")
    }

    /// There is no record of a run where one is expected.
    package static func noRecord(path: String, looked: [String]) -> Self {
        Self(
            .missing,
            """
            \(path): there is no record of a run (looked for \(looked.joined(separator: ", "))); name the folder of a \
            healed model, its OUT.run, or the file of --log
            """)
    }

    /// There are several runs where one is named.
    package static func severalRecords(path: String, records: [String]) -> Self {
        Self(
            .inconsistent,
            "\(path): there are several runs; name those you mean: \(records.joined(separator: ", "))")
    }

    /// A file has no line of a run.
    package static func noSteps(path: String) -> Self {
        Self(.malformed, "\(path) has no line of a run; a record or the file of --log is expected")
    }

    fileprivate static func notOfARun(file: String, number: Int) -> Self {
        Self(
            .malformed,
            "\(file) line \(number) is not of a run; a record or the file of --log is expected")
    }

    fileprivate static func ofAnotherRun(file: String, number: Int, run: String) -> Self {
        Self(
            .inconsistent,
            "\(file) line \(number) is of the run \(run), and the lines before are of another; one run is expected"
        )
    }

    fileprivate static func newerRecord(file: String, found: Int) -> Self {
        Self(
            .unsupported,
            "\(file) has format \(found), and this program knows \(RunRecord.format); use a newer one")
    }
}
