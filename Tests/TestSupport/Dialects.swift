/// A configuration as each dialect of config.json has it, laid out as transformers and people do.
package enum Dialects {
    /// As `transformers` before version 5 wrote it.
    package static let older = """
        {
            "torch_dtype": "bfloat16",
            "rms_norm_eps": 1e-05,
            "rope_theta": 1000000.0,
            "rope_scaling": {"type": "linear", "factor": 2.0},
            "partial_rotary_factor": 0.5,
            "num_hidden_layers": 32
        }
        """
    /// As version 5 writes it.
    package static let newer = """
        {
          "dtype": "float16",
          "rope_parameters": {
            "factor": 8.0,
            "partial_rotary_factor": 0.25,
            "rope_theta": 500000.0,
            "rope_type": "llama3"
          },
          "num_hidden_layers": 32
        }

        """
}
