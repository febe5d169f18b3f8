"""What makes an answer: pictures embedded, label sets made ready, results rendered."""
