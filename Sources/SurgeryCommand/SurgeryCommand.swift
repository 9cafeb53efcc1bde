import ArgumentParser
import CommandLineSupport

@main
struct SurgeryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "surgery",
        abstract:
            "Grows pretrained language models: looks at them, deepens them, gives them tokens, converts them, proves the result.",
        discussion: """
            A model is a folder with config.json and files of weights (safetensors or HDF5, one or many), or one \
            such file.
            Without a model the current folder is meant.

            The source is never touched. A result is whole or absent: it gets its name when all of it is on disk, and \
            the same command, run again after a stop, goes on where it was.

            exit codes: 0 done; 1 the run failed (disk full, file unreadable); 2 the input is not valid; 64 the command \
            line is wrong; 75 a healing of a recipe was stopped after its max-time, and kept; 128 + n stopped by signal n, as \
            130 by Ctrl-C
            """,
        version: Version.current,
        subcommands: [Inspect.self] + operations + [RunSteps.self, Verify.self, UndoCommand.self, Diff.self])

    /// The commands that do one operation, each of which can be a step of `surgery run`.
    static let operations: [any OperationCommand.Type] = [
        DepthUpScale.self, ArrangeLayers.self, Expand.self, Prune.self, ResizeVocabulary.self, Convert.self,
        Restore.self, Average.self,
        MergeModels.self,
    ]
}
