/// The version of the commands.
public enum Version {
    /// The version, as `--version` prints it and manifests keep it.
    public static let current = "0.1.0"
}
