public import Formats
internal import Surgery
internal import Trainer

/// A file that says what becomes of a model, for a colleague to run again: `surgery run recipe.yaml`.
///
///     about: Depth Up-Scaling as SOLAR 10.7B has it.
///     model: mistralai/Mistral-7B-v0.1
///     steps:
///       - dus: {from: 32, to: 48}
///
/// Documentation/recipes.md has all keys; ``schema`` has them for editors.
public struct Recipe: Sendable {
    /// Something that is done.
    public struct Step: Sendable {
        /// What it is called, to be chosen or changed by: its own name, else that of what is done.
        public var name: String
        /// What is done.
        public let kind: String
        /// The parameters, as they stand in the file.
        public var parameters: JSONObject
        /// The folder that the model is written to after it, of a selection the file of what is chosen; nil for the next folder
        /// that is, or the recipe's, and for a file beside that.
        public var output: String?
        /// The line that it begins on; of each parameter the line that it stands on.
        let line: Int, lines: [String: Int]
        /// What relative paths count from, by parameter, where that is not the recipe's folder.
        var folders: [String: String] = [:]
    }

    /// The file, for messages.
    public let file: String
    /// What it is for.
    public private(set) var about: String?
    /// Where its numbers are from, what it needs and costs, and what is measured about it.
    public private(set) var notes: [(key: String, text: String)] = []
    /// The model that it begins with: a folder, or a name on the hub; nil where it must be given.
    public private(set) var model: String?
    /// The folder to write; nil for one of the recipe's name in the current folder.
    public private(set) var output: String?
    /// What is done, in order.
    public private(set) var steps: [Step] = []
    /// The steps before these, which are not carried out.
    private var earlier: [Step] = []

    /// What relative paths in the file count from.
    private let folder: String

    /// All that a step can be, in the order in which help pages name it.
    public static let operations: [any Parameterized.Type] =
        SurgeryOperations.all.map { $0 } + [SelectionJob.self, TrainingJob.self, EvaluationJob.self]

    /// The keys that say in words what there is to know.
    static let noteKeys = ["source", "needs", "cost", "measured"]
    /// All keys of the file.
    static let keys = ["about"] + noteKeys + ["model", "output", "steps"]
    /// The keys of a step besides what is done.
    static let stepKeys = ["name", "output"]
}

// MARK: - Reading

extension Recipe {
    /// Reads a recipe.
    ///
    /// - Parameter path: a YAML file.
    /// - Returns: the recipe; every step and parameter is known, none was tried.
    /// - Throws: ``UserFacingError`` that names the line, and the nearest word where one is not known.
    public static func read(path: String) throws(UserFacingError) -> Recipe {
        try Recipe(YAMLNode.read(path: path), file: path)
    }

    init(_ root: YAMLNode, file: String) throws(UserFacingError) {
        self.file = file
        folder = Path.parent(file)
        guard let entries = root.entries else {
            throw .malformedYAML(
                file, root.line, "a recipe is a mapping with model and steps, not \(root.kind)")
        }
        for entry in entries {
            switch entry.key {
            case "about": about = try text(entry)
            case "model":
                let typed = try text(entry)
                model = OperationParameter.model(typed, from: folder)
            case "output": output = path(try text(entry))
            case "steps":
                guard let list = entry.value.list, !list.isEmpty else {
                    throw .malformedYAML(file, entry.line, "steps must be a list of what is done")
                }
                for node in list { steps.append(try step(node)) }
            case let key where Self.noteKeys.contains(key): notes.append((key, try text(entry)))
            case let key:
                throw .unknownWord(key, what: "key", known: Self.keys, at: "\(file), line \(entry.line)")
            }
        }
        guard !steps.isEmpty else { throw .malformedYAML(file, root.line, "it has no steps") }
        var names: Set<String> = []
        for index in steps.indices {
            guard !names.insert(steps[index].name).inserted else { continue }
            throw .malformedYAML(
                file, steps[index].line,
                "two steps are called \(steps[index].name); give one a name of its own")
        }
        for step in steps { _ = try operation(of: step) }
    }

    /// The lines that parameters stand on, those inside a list of mappings as in `stages[0].lr`.
    private static func lines(of entries: [YAMLNode.Entry], prefix: String = "") -> [String: Int] {
        var lines: [String: Int] = [:]
        for entry in entries {
            lines[prefix + entry.key] = entry.line
            for (index, item) in (entry.value.list ?? []).enumerated() {
                let path = "\(prefix)\(entry.key)[\(index)]"
                lines[path] = item.line
                lines.merge(Self.lines(of: item.entries ?? [], prefix: path + ".")) { $1 }
            }
        }
        return lines
    }

    private func text(_ entry: YAMLNode.Entry) throws(UserFacingError) -> String {
        guard case .scalar(let value) = entry.value.content, let text = value.string else {
            throw .wrongValue(
                of: entry.key, found: entry.value.json, expected: "a text", at: "\(file), line \(entry.line)")
        }
        return text
    }

    private func path(_ text: String) -> String { text.hasPrefix("/") ? text : Path.join(folder, text) }

    private func step(_ node: YAMLNode) throws(UserFacingError) -> Step {
        // A step without parameters may be its name alone.
        if case .scalar(let word) = node.content, let kind = word.string {
            return Step(name: kind, kind: kind, parameters: JSONObject(), line: node.line, lines: [:])
        }
        let entries = node.entries ?? []
        let kinds = entries.filter { !Self.stepKeys.contains($0.key) }
        guard let done = kinds.first, kinds.count == 1 else {
            throw .malformedYAML(
                file, node.line,
                kinds.isEmpty
                    ? "a step says what is done, as in '- dus: {to: 48}'"
                    : "a step does one thing, and here are \(kinds.map(\.key).joined(separator: " and "))")
        }
        let parameters = done.value.entries ?? []
        guard done.value.entries != nil || done.value.json.isNull else {
            throw .malformedYAML(
                file, done.line, "the parameters of \(done.key) are a mapping, not \(done.value.kind)")
        }
        var step = Step(
            name: done.key, kind: done.key,
            parameters: parameters.reduce(into: JSONObject()) { $0[$1.key] = $1.value.json },
            line: node.line, lines: Self.lines(of: parameters))
        for entry in entries {
            if entry.key == "name" { step.name = try text(entry) }
            if entry.key == "output" {
                guard done.key != EvaluationJob.name else {
                    throw .malformedYAML(
                        file, entry.line, "\(done.key) makes nothing that could be written; leave output out")
                }
                step.output = path(try text(entry))
            }
        }
        return step
    }
}

// MARK: - Carrying out

extension Recipe {
    /// The folder of the last model that is made: without ``output`` one of the recipe's name in the current folder.
    public var result: String {
        output ?? Path.absolute(Path.name(file).split(separator: ".").dropLast().joined(separator: "."))
    }

    /// Refuses two places for the last model that is made.
    ///
    /// - Throws: ``UserFacingError`` that names both.
    public func checkResult() throws(UserFacingError) {
        guard let output, let last = steps.last(where: \.makesModel), let own = last.output,
            Path.absolute(own) != Path.absolute(output)
        else { return }
        throw UserFacingError(
            .request,
            """
            \(file): the last model would be written to \(output), and its step '\(last.name)' has an output of its own, \
            \(own); leave one out
            """)
    }

    /// The steps as they are carried out: each with what it does, and where what it makes is written.
    ///
    /// - Throws: ``UserFacingError`` that names the line.
    public func carriedOut() throws(UserFacingError) -> [RecipeRun.Step] {
        var made: [RecipeRun.Step] = []
        for step in steps {
            made.append(
                RecipeRun.Step(
                    name: step.name, operation: try operation(of: step),
                    output: step.isSelection ? try chosenFile(of: step) : step.output))
        }
        return made
    }

    /// The file of what a step chooses: beside the last model where it names none.
    private func chosenFile(of step: Step) throws(UserFacingError) -> String {
        guard let output = step.output else { return Path.absolute(result) + ".\(step.name).jsonl" }
        do { try TextSelection.checkName(ofOutput: output) } catch {
            throw error.within(place(of: nil, in: step))
        }
        return output
    }

    /// What a step does.
    ///
    /// - Throws: ``UserFacingError`` that names the line.
    public func operation(of step: Step) throws(UserFacingError) -> any Parameterized {
        let operation = try written(step)
        if let job = operation as? TrainingJob {
            do { try job.check() } catch {
                throw error.within(place(of: job.refusedStage.map { "stages[\($0)]" }, in: step))
            }
        }
        if let job = operation as? SelectionJob {
            do { try job.check(hasModel: true) } catch { throw error.within(place(of: nil, in: step)) }
            _ = try chosenFile(of: step)
        }
        return operation
    }

    /// Where a parameter stands; for nil where the step does.
    private func place(of key: String?, in step: Step) -> String {
        "\(file), line \(key.flatMap { step.lines[$0] } ?? step.line)"
    }

    /// What a step does, whether its parameters contradict each other or not.
    private func written(_ step: Step) throws(UserFacingError) -> any Parameterized {
        var parameters = step.parameters
        // Paths that were set on the command line count from the current folder.
        for (key, folder) in step.folders {
            guard let value = parameters[key],
                let kind = Self.operations.named(step.kind)?.parameterList.first(where: { $0.name == key })
            else { continue }
            parameters[key] = kind.value(value, from: folder) ?? value
        }
        let operation = try Self.operations.operation(
            step.kind, parameters, from: folder, at: { place(of: $0, in: step) })
        // The files of the selections before it stand where it refers to them.
        let selections = (earlier + steps).prefix { $0.name != step.name }.filter(\.isSelection)
        let given = operation.parameters
        parameters = given
        for parameter in type(of: operation).parameterList {
            guard let value = given[parameter.name] else { continue }
            parameters[parameter.name] = try parameter.replacingSteps(
                in: value
            ) { name throws(UserFacingError) in
                guard let selection = selections.first(where: { $0.name == name }) else {
                    throw .noSelection(
                        name, known: selections.map(\.name), at: place(of: parameter.name, in: step))
                }
                return try chosenFile(of: selection)
            }
        }
        guard parameters != given else { return operation }
        return try type(of: operation).init(parameters: parameters, at: { place(of: $0, in: step) })
    }

    /// Changes a value, as `--set` does.
    ///
    /// - Parameter assignment: `model=PATH`, `output=PATH` or `STEP.PARAMETER=VALUE`; the value is YAML, relative paths count
    ///   from the current folder.
    /// - Throws: ``UserFacingError`` when there is no such key, step or parameter, or the value is of another kind.
    public mutating func set(_ assignment: String) throws(UserFacingError) {
        let halves = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, !halves[0].isEmpty else { throw .noAssignment(assignment) }
        let (key, text) = (String(halves[0]), String(halves[1]))
        switch key {
        case "model": model = text
        case "output": output = Path.absolute(text)
        default:
            let words = key.split(separator: ".", maxSplits: 1).map(String.init)
            guard let index = steps.firstIndex(where: { $0.name == words[0] }) else {
                throw .unknownWord(
                    words[0], what: "step", known: ["model", "output"] + steps.map(\.name),
                    at: "--set \(assignment)")
            }
            guard words.count == 2 else { throw .noAssignment(assignment) }
            if words[1] == "output" {
                steps[index].output = Path.absolute(text)
                return
            }
            steps[index].parameters[words[1]] = try YAMLNode(parsing: text, file: "--set \(key)").json
            steps[index].folders[words[1]] = Path.absolute(".")
            // Whether parameters contradict each other shows when all are set.
            do { _ = try written(steps[index]) } catch { throw error.within("--set \(assignment)") }
        }
    }

    /// The same recipe from a step on, which begins with what the step before it has written.
    ///
    /// - Throws: ``UserFacingError`` when there is no such step, or no step before it says where its model is written.
    public func starting(from name: String) throws(UserFacingError) -> Recipe {
        guard let index = steps.firstIndex(where: { $0.name == name }) else {
            throw .unknownWord(name, what: "step", known: steps.map(\.name), at: "--from-step")
        }
        var recipe = self
        recipe.steps.removeFirst(index)
        recipe.earlier = Array(steps.prefix(index))
        if let maker = recipe.earlier.last(where: \.makesModel) {
            guard let written = maker.output else { throw .notWritten(maker.name, file: file) }
            recipe.model = written
        }
        return recipe
    }

    /// The same recipe with one step.
    ///
    /// - Throws: as ``starting(from:)``.
    public func only(_ name: String) throws(UserFacingError) -> Recipe {
        var recipe = try starting(from: name)
        recipe.steps.removeLast(recipe.steps.count - 1)
        return recipe
    }
}

// MARK: - Writing

extension Recipe {
    /// A recipe of these steps on a model, as `surgery run --save-recipe` writes it.
    public static func text(
        model: String, operations: [any Parameterized], output: String?, tool: String
    ) -> String {
        var lines = ["# Written by \(tool).", "model: \(word(model))"]
        if let output { lines.append("output: \(word(output))") }
        lines.append("steps:")
        var counts: [String: Int] = [:]
        for operation in operations {
            let kind = type(of: operation).name
            counts[kind, default: 0] += 1
            let number = counts[kind] ?? 1
            if number > 1 { lines.append("  - name: \(kind)-\(number)") }
            lines.append((number > 1 ? "    " : "  - ") + "\(kind):")
            for (key, value) in operation.parameters { lines.append("      \(key): \(value.text)") }
            if operation.parameters.isEmpty { lines[lines.count - 1] += " {}" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A text as YAML has it: JSON's quotes are YAML's.
    private static func word(_ text: String) -> String { JSON.string(text).text }

    /// What a recipe may say, as JSON Schema (draft 2020-12) for editors.
    public static var schema: JSON {
        var step: JSON = [
            "type": "object", "minProperties": 1, "additionalProperties": false,
        ]
        var properties: JSON = [
            "name": ["type": "string", "description": "what the step is called"],
            "output": [
                "type": "string",
                "description":
                    "the folder that the model is written to after it; of a selection the file of what is chosen",
            ],
        ]
        for operation in operations {
            var parameters = OperationParameter.schema(of: operation.parameterList)
            parameters["type"] = ["object", "null"]
            properties[operation.name] = parameters
        }
        step["properties"] = properties
        let names = operations.filter { !$0.parameterList.contains(where: \.isRequired) }.map {
            $0.name
        }
        var keys = JSONObject()
        keys["about"] = ["type": "string", "description": "what it is for"]
        for key in noteKeys { keys[key] = ["type": "string"] }
        keys["model"] = [
            "type": "string", "description": "a folder, or a name on the hub that is in the cache",
        ]
        keys["output"] = ["type": "string", "description": "the folder to write"]
        keys["steps"] = [
            "type": "array", "minItems": 1,
            "items": ["anyOf": [step, ["enum": .array(names.map { .string($0) })]]],
        ]
        return [
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A recipe of model surgery",
            "type": "object", "additionalProperties": false, "required": ["steps"],
            "properties": .object(keys),
        ]
    }
}

extension Recipe.Step {
    /// Whether it chooses texts.
    fileprivate var isSelection: Bool { kind == SelectionJob.name }
    /// Whether a model comes out that did not go in.
    fileprivate var makesModel: Bool { !isSelection && kind != EvaluationJob.name }
}

extension UserFacingError {
    fileprivate static func noSelection(_ name: String, known: [String], at place: String) -> Self {
        Self(
            .malformed,
            "\(place): step:\(name) stands for what a select step before this one chooses, and "
                + (known.isEmpty ? "there is none" : "those are called \(known.joined(separator: ", "))"))
    }

    fileprivate static func noAssignment(_ text: String) -> Self {
        Self(.request, "--set \(text): give model=PATH, output=PATH or STEP.PARAMETER=VALUE")
    }

    fileprivate static func notWritten(_ step: String, file: String) -> Self {
        Self(
            .request,
            "\(file): step \(step) says no output, so what it makes is nowhere to go on from; give it one, or run all steps"
        )
    }
}
