import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Surgery

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what a model is, and whether its configuration, tensors and tokenizer fit together.",
        discussion: """
            Reads headers and configuration only, so it takes no time on a model of any size; embedding and output \
            head are compared where the configuration says that they are one and the file has both. Ends with exit \
            code 2 when something does not fit together.
            """)

    @Argument(help: "The model: a folder, or a file of weights.")
    var model = "."

    @Flag(help: "List every tensor, too.")
    var tensors = false

    @Flag(help: "Print one JSON object on standard output.")
    var json = false

    func run() throws {
        try runReportingErrors {
            let inspection = try inspection()
            if json {
                var object = inspection.json
                if tensors { object["tensors"] = .array(inspection.tensors.map(json(of:))) }
                printJSON(object)
            } else {
                report(inspection.table.description)
                if tensors { report("\n" + table(of: inspection.tensors).description) }
            }
            if let error = inspection.unusableManifest { warn("left out: \(error)") }
            for note in inspection.notes { warn(note) }
            for disagreement in inspection.inconsistencies { report("error: \(disagreement)") }
            if !inspection.inconsistencies.isEmpty { throw ExitCode(2) }
        }
    }

    private func inspection() throws -> Inspection {
        let stored = try Checkpoint.open(model)
        do { return Inspection(of: try stored.asHuggingFace()) } catch {
            return Inspection(of: stored, problem: error.description)
        }
    }

    private func table(of tensors: [Inspection.Tensor]) -> Table {
        var table = Table(
            columns: [
                ("tensor", .left), ("type", .left), ("shape", .left), ("bytes", .right), ("file", .left),
            ])
        for tensor in tensors {
            table.add(
                tensor.name, tensor.type.rawValue, "\(tensor.shape)", Units.grouped(tensor.bytes),
                tensor.file ?? "")
        }
        return table
    }

    private func json(of tensor: Inspection.Tensor) -> JSON {
        [
            "name": .string(tensor.name), "type": .string(tensor.type.rawValue),
            "shape": .array(tensor.shape.map { JSON($0) }), "bytes": JSON(tensor.bytes),
            "file": tensor.file.map { .string($0) } ?? .null,
        ]
    }
}

extension Inspection {
    /// What people read.
    var table: Table {
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("model", path)
        table.add("family", familyName)
        if let layers {
            table.add(
                "layers",
                "\(layers.count) (\(layers.names.title(of: 0)) to \(layers.names.title(of: layers.count - 1)))"
            )
        }
        table.add("parameters", "\(Units.grouped(parameterCount)) (\(Units.count(parameterCount)))")
        for (index, type) in types.enumerated() {
            table.add(
                index == 0 ? "numbers" : "",
                "\(type.type.rawValue): \(type.tensors) tensors, \(Units.bytes(type.bytes))")
        }
        if let quantization { table.add("quantised", "\(quantization)") }
        for (index, file) in files.enumerated() {
            table.add(
                index == 0 ? "files" : "", "\(file.name): \(file.tensors) tensors, \(Units.bytes(file.bytes))"
            )
        }
        table.add("tokenizer", tokenizer.map(Self.text) ?? "none")
        for (index, operation) in operations.enumerated() {
            table.add(
                index == 0 ? "made by" : "",
                operation.name + " "
                    + String(
                        decoding: JSON.object(operation.parameters).serialized(indent: nil), as: UTF8.self))
        }
        if !lineage.isEmpty {
            let kinds = Lineage.Kind.allCases.compactMap { kind in
                lineage[kind].map { "\(Units.count($0)) \(kind.rawValue)" }
            }
            table.add("made of", kinds.joined(separator: ", "))
        }
        table.add("agreement", agreement)
        return table
    }

    private var familyName: String {
        guard let family else { return modelType ?? "not known" }
        return modelType.map { "\(family) (\($0))" } ?? family
    }

    private var agreement: String {
        guard hasConfiguration else { return "there is no config.json" }
        return inconsistencies.isEmpty ? "configuration, tensors and tokenizer fit together" : "no, see below"
    }

    private static func text(_ tokenizer: TokenizerSummary) -> String {
        if let size = tokenizer.size {
            return "\(tokenizer.file): \(Units.grouped(size)) tokens"
                + (tokenizer.problem.map { "; " + $0 } ?? "")
        }
        return "\(tokenizer.file), which can't be used here: \(tokenizer.problem ?? "")"
    }

    /// What programs read; Documentation/surgery-inspect.md describes the keys.
    var json: JSON {
        let optional = { (text: String?) -> JSON in text.map { .string($0) } ?? .null }
        return [
            "path": .string(path), "model_type": optional(modelType), "family": optional(family),
            "architectures": .array(architectures.map { .string($0) }),
            "layers": layers.map { ["count": JSON($0.count), "prefix": .string($0.names.prefix)] } ?? .null,
            "parameters": JSON(parameterCount), "bytes": JSON(byteCount), "tensor_count": JSON(tensorCount),
            "types": .array(
                types.map {
                    [
                        "type": .string($0.type.rawValue), "tensors": JSON($0.tensors),
                        "parameters": JSON($0.parameters), "bytes": JSON($0.bytes),
                    ]
                }),
            "files": .array(
                files.map {
                    ["name": .string($0.name), "bytes": JSON($0.bytes), "tensors": JSON($0.tensors)]
                }),
            "quantization": quantization.map {
                [
                    "method": optional($0.method),
                    "settings": .array($0.settings.map { .string($0) }), "tensors": JSON($0.tensors.count),
                ]
            } ?? .null,
            "tokenizer": tokenizer.map {
                [
                    "file": .string($0.file), "tokens": $0.size.map { JSON($0) } ?? .null,
                    "problem": optional($0.problem),
                ]
            } ?? .null,
            "operations": .array(
                operations.map {
                    [
                        "name": .string($0.name), "parameters": .object($0.parameters),
                        "facts": .object($0.facts),
                    ]
                }),
            "lineage": .object(
                Lineage.Kind.allCases.reduce(into: JSONObject()) { object, kind in
                    if let count = lineage[kind] { object[kind.rawValue] = JSON(count) }
                }),
            "agrees": .bool(inconsistencies.isEmpty),
            "inconsistencies": .array(inconsistencies.map { .string($0) }),
            "notes": .array(notes.map { .string($0) }),
        ]
    }
}
