import ArgumentParser
import CommandLineSupport
import Formats
import Surgery

/// The options of every command that writes a model.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Replace the output when it exists.")
    var force = false

    @Flag(help: "Show what would be written, and write nothing.")
    var dryRun = false

    @Option(
        help: ArgumentHelp(
            "The most bytes of tensors in a file, as in 500MB or 2GiB.",
            discussion:
                "A model that fits is one model.safetensors; a tensor larger than this has a file of its own."
        ))
    var shardSize = ByteSize(bytes: 5_000_000_000)

    @Flag(help: "Write although the model's configuration, tensors and tokenizer do not fit together.")
    var allowDisagreement = false

    @Flag(help: "Print one JSON object on standard output.")
    var json = false

    /// What the writer is told.
    var writeOptions: WriteOptions {
        WriteOptions(force: force, shardSize: shardSize.bytes, tool: "surgery \(Version.current)")
    }

    /// Refuses a source whose parts do not fit together; with `--allow-disagreement` warns of it instead.
    ///
    /// Reads the tokenizer: once for each source, before anything is done to it.
    ///
    /// - Throws: ``UserFacingError`` of what does not fit together.
    func checkAgreement(of source: Checkpoint) throws(UserFacingError) {
        guard allowDisagreement else { return try source.checkAgreement() }
        for disagreement in source.inconsistencies { warn(disagreement) }
    }
}
