public import Formats
public import Trainer

extension CheckpointExport {
    /// What is written, for people.
    public var table: String {
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("checkpoint", checkpoint)
        table.add("step", "\(step) of the run \(run)" + (stage.map { ", in the stage '\($0)'" } ?? ""))
        table.add("model", model.checkpoint.path)
        table.add("output", plan.output)
        table.add(
            "parameters",
            "\(Units.grouped(plan.parameterCount)), of which \(Units.grouped(trainedParameterCount)) were trained"
        )
        table.add("to write", "\(Units.bytes(plan.byteCount)) in \(plan.files.count) files")
        return table.description
    }

    /// The same for programs.
    public var json: JSON {
        [
            "checkpoint": .string(checkpoint), "run": .string(run), "step": JSON(step),
            "stage": stage.map { .string($0) } ?? .null, "model": .string(model.checkpoint.path),
            "output": .string(plan.output), "parameters": JSON(plan.parameterCount),
            "trained_parameters": JSON(trainedParameterCount), "bytes": JSON(plan.byteCount),
        ]
    }
}
