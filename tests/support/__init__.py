"""What several tests share: stand-ins, drawn clips and streets, hostile files, a browser."""
